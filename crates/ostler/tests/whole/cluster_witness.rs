//! A witness: two nodes, or four, and a machine that only votes.

use std::process::Command;

use serde_json::{Value, json};

use crate::harness::cluster::{TestCluster, describe, description, with_cluster_bridge};
use crate::harness::witness::{TestWitness, WITNESS};
use crate::harness::{TestNode, until};

fn joins(cluster: &TestCluster, witness: &TestWitness) -> String {
    let invited = cluster.run(1, "cluster invite -o json");
    let invited: Value = serde_json::from_str(&invited).unwrap();
    let information = invited["information"].as_str().unwrap();
    let link = format!("10.77.0.{WITNESS}");
    witness.run(&["join", information, "--link", &link])
}

/// The votes of the nodes and of the witness, as a node sees them.
async fn votes(node: &TestNode) -> (u64, u64) {
    let nodes = node.call("cluster_config_nodes", json!({})).await;
    let nodes = nodes.unwrap().data;
    let nodes = nodes.as_array().unwrap().iter();
    let nodes = nodes.map(|node| node["quorum_votes"].as_str().unwrap());
    let nodes = nodes.map(|votes| votes.parse::<u64>().unwrap()).sum();
    let witness = node.call("cluster_witness", json!({})).await.unwrap().data;
    (nodes, witness["votes"].as_u64().unwrap_or(0))
}

async fn until_votes(node: &TestNode, wanted: (u64, u64)) {
    let what = format!("{} sees votes {wanted:?}", node.name);
    until(&what, async || votes(node).await == wanted).await;
}

/// Two nodes and a witness that votes.
async fn pair() -> Option<(TestCluster, TestWitness)> {
    let cluster = TestCluster::start(3).await?;
    cluster.form_of(2).await;
    let mut witness = cluster.witness();
    let said = joins(&cluster, &witness);
    assert!(said.contains("the witness of 'lab'"), "{said}");
    witness.start();
    until_votes(&cluster.nodes[0], (2, 1)).await;
    Some((cluster, witness))
}

/// covers: S0.7 S2.7
#[test]
fn with_a_witness_one_of_two_nodes_may_be_lost() {
    with_cluster_bridge(async {
        let Some((cluster, mut witness)) = pair().await else {
            return;
        };
        let [n1, n2, _] = &cluster.nodes[..] else {
            unreachable!()
        };
        let status = cluster.run(2, "pvecm status");
        for line in ["Expected votes:   3", "Flags:            Quorate Qdevice"] {
            assert!(status.contains(line), "{status}");
        }
        let qdevice = n1.call("cluster_config_qdevice", json!({})).await;
        assert_eq!(qdevice.unwrap().data["State"], "Connected");
        let doctor = cluster.run(1, "doctor");
        assert!(
            doctor.contains("n1, n2, w: 1 of them may be lost"),
            "{doctor}"
        );
        // It has the state, and of what is secret only what is sealed.
        assert!(keeps(&witness, "secret/invitation/") && keeps(&witness, "member/n1"));
        assert!(!keeps(&witness, "\"hash\""));
        let other = cluster.witness_at(8);
        let refused = joins(&cluster, &other);
        assert!(refused.contains("has the witness 'w' already"), "{refused}");

        cluster.cut(2);
        until("n2 has no quorum", async || {
            describe(n2, "no").await.is_err()
        })
        .await;
        until("the other two have elected a leader", async || {
            describe(n1, "n1 and the witness").await.is_ok()
        })
        .await;
        cluster.heal(2);
        until("n2 is back", async || {
            description(n2).await == "n1 and the witness"
        })
        .await;
        witness.kill();
        until("the witness is missed", async || {
            let known = n1.call("cluster_witness", json!({})).await;
            known.unwrap().data["online"] == 0
        })
        .await;
        until("it is an alert", async || {
            let alerts = n1.call("ostler_alerts", json!({})).await.unwrap().data;
            let alerts = alerts.as_array().unwrap().iter();
            let ids: Vec<&str> = alerts.filter_map(|alert| alert["id"].as_str()).collect();
            ids.contains(&"witness-silent") && ids.contains(&"quorum")
        })
        .await;
        until("the nodes have elected a leader", async || {
            describe(n2, "without the witness").await.is_ok()
        })
        .await;
        witness.start();
        until("the witness is back", async || {
            let known = n1.call("cluster_witness", json!({})).await;
            known.unwrap().data["online"] == 1
        })
        .await;

        forced_quorum(&cluster).await;
        until("n2 follows", async || description(n2).await == "alone").await;
    });
}

/// After a forced quorum the witness takes over the later generation, as the other node does.
async fn forced_quorum(cluster: &TestCluster) {
    let n1 = &cluster.nodes[0];
    cluster.cut(2);
    cluster.cut(WITNESS);
    until("n1 is alone", async || describe(n1, "no").await.is_err()).await;
    let force = |input: &str| cluster.command(1, &["pvecm", "expected", "1"], input);
    let mut forced = String::new();
    until("the links are known to be silent", async || {
        forced = force("n2\n");
        !forced.contains("is reachable")
    })
    .await;
    assert!(forced.contains("the witness 'w' votes"), "{forced}");
    let forced = force("n2 w\n");
    assert!(forced.contains("this node alone has quorum"), "{forced}");
    describe(n1, "alone").await.unwrap();
    cluster.heal(2);
    cluster.heal(WITNESS);
    until_votes(n1, (2, 1)).await;
}

/// covers: S0.7 S2.89
#[test]
fn a_witness_steps_back_where_it_is_not_needed() {
    with_cluster_bridge(async {
        let Some((cluster, mut witness)) = pair().await else {
            return;
        };
        let n1 = &cluster.nodes[0];
        assert_eq!(cluster.join(3).await, "OK");
        until_votes(n1, (3, 0)).await;
        assert!(!witness.state().join("etcd/data").exists());
        let removed = cluster.run(1, "cluster remove n3 --yes");
        assert_eq!(removed, "");
        until_votes(n1, (2, 1)).await;

        let removed = cluster.run(2, "pvecm qdevice remove");
        assert!(removed.contains("Done."), "{removed}");
        until_votes(n1, (1, 0)).await;
        until("the witness has ended", async || witness.has_ended()).await;
        assert!(!witness.state().join("etcd").exists());
        assert!(!witness.state().join("witness.json").exists());
        // It may come again.
        let said = joins(&cluster, &witness);
        assert!(said.contains("the witness of 'lab'"), "{said}");
        witness.start();
        until_votes(n1, (2, 1)).await;
    });
}

/// Whether the files of the witness's etcd contain a text.
fn keeps(witness: &TestWitness, text: &str) -> bool {
    let searched = Command::new("grep")
        .args(["-rqaF", text])
        .arg(witness.state().join("etcd/data"))
        .status();
    searched.unwrap().success()
}
