//! Nodes in network namespaces become a cluster, by the product's own operations.

use std::process::Command;

use serde_json::{Value, json};

use crate::harness::cluster::{TestCluster, describe, description, with_cluster_bridge};
use crate::harness::{TestNode, until};

/// The names of the nodes that a node lists as online, and those that it lists as offline.
async fn seen(node: &TestNode) -> (Vec<String>, Vec<String>) {
    let rows = node.call("cluster_status", json!({})).await.unwrap().data;
    let rows = rows.as_array().unwrap().clone();
    let nodes = rows.into_iter().filter(|row| row["type"] == "node");
    let (online, offline): (Vec<Value>, Vec<Value>) = nodes.partition(|row| row["online"] == 1);
    let names = |rows: Vec<Value>| {
        let names = rows
            .iter()
            .map(|row| row["name"].as_str().unwrap().to_owned());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    };
    (names(online), names(offline))
}

/// The process of the first node's guest, as a node shows it.
async fn pid_of_guest(node: &TestNode) -> Value {
    let guest = json!({"node": "n1", "vmid": 100});
    let status = node.call("qemu_status", guest).await.unwrap().data;
    assert_eq!(status["status"], "running");
    status["pid"].clone()
}

/// covers: S2.1 S2.7 S2.80 S2.81 S3.7
#[test]
fn three_nodes_become_a_cluster_and_one_loss_goes_on() {
    with_cluster_bridge(async {
        let Some(cluster) = TestCluster::start(3).await else {
            return;
        };
        cluster.form().await;
        let [n1, n2, n3] = &cluster.nodes[..] else {
            unreachable!()
        };
        for node in &cluster.nodes {
            until("all nodes are online", async || {
                seen(node).await.0 == ["n1", "n2", "n3"]
            })
            .await;
        }
        // Where the servers and the replicas keep the state, a secret cannot be read.
        n2.call("cluster_invite", json!({})).await.unwrap();
        for node in &cluster.nodes {
            until("the state is there", async || {
                keeps(node, "secret/invitation/")
            })
            .await;
            assert!(!keeps(node, "\"hash\""), "{} keeps a secret", node.name);
        }

        // What one node has is asked for at another.
        n1.call("node_status", json!({"node": "n3"})).await.unwrap();

        cluster.cut(1);
        until("the others go on", async || {
            describe(n2, "without n1").await.is_ok()
        })
        .await;
        assert!(describe(n1, "alone").await.is_err());
        until("n1 is seen as lost", async || seen(n3).await.1 == ["n1"]).await;
        cluster.cut(2);
        until("two losses stop changes", async || {
            describe(n3, "alone").await.is_err()
        })
        .await;
        for number in [1, 2] {
            cluster.heal(number);
        }
        until("they are back", async || describe(n1, "back").await.is_ok()).await;
        // Until then it shows what it knew without quorum.
        until("n3 is back too", async || description(n3).await == "back").await;
    });
}

/// covers: S0.1 S0.7 S2.8 S2.89
#[test]
fn a_cluster_grows_to_five_and_a_lost_voter_is_replaced() {
    with_cluster_bridge(async {
        let Some(mut cluster) = TestCluster::start(5).await else {
            return;
        };
        let guest = json!({"node": "n1", "vmid": 100});
        assert_eq!(
            cluster.nodes[0].task("qemu_start", guest.clone()).await,
            "OK"
        );
        let process = pid_of_guest(&cluster.nodes[0]).await;
        cluster.form().await;
        let [_, n2, ..] = &cluster.nodes[..] else {
            unreachable!()
        };
        let status = n2.call("cluster_status", json!({})).await.unwrap().data;
        assert_eq!(
            (&status[0]["name"], &status[0]["nodes"]),
            (&json!("lab"), &json!(5))
        );
        let version = status[0]["version"].as_u64().unwrap();
        // One commit for the cluster, four joins, four votes.
        assert_eq!(version, 9, "{status}");

        // A node that is gone for good is removed: of four, three vote.
        let mut lost = cluster.nodes.pop().unwrap();
        lost.end();
        lost.end_etcd();
        let [n1, ..] = &cluster.nodes[..] else {
            unreachable!()
        };
        let refused = n1
            .call("cluster_node_remove", json!({"node": "n1"}))
            .await
            .unwrap_err();
        assert_eq!(refused.message, "Cannot delete myself from cluster!");
        let refused = n1
            .call("cluster_node_remove", json!({"node": "n9"}))
            .await
            .unwrap_err();
        assert_eq!(
            refused.message,
            "Node/IP: n9 is not a known host of the cluster."
        );
        n1.call("cluster_node_remove", json!({"node": "n5"}))
            .await
            .unwrap();
        cluster.votes(3).await;
        assert_eq!(seen(n1).await.1, [""; 0]);

        // It boots again with its old disk: it writes nothing and starts nothing.
        let before = description(n1).await;
        lost.start_again();
        lost.answers().await;
        until("the removed node is refused", async || {
            let status = lost.call("cluster_status", json!({})).await;
            status.is_ok_and(|status| status.data[0]["quorate"] == 0)
        })
        .await;
        assert!(describe(&lost, "back").await.is_err());
        assert_eq!(description(n1).await, before);
        assert_eq!(seen(n1).await.0, ["n1", "n2", "n3", "n4"]);
        // The guest of the first node ran through all of it, and is stopped from another one.
        let n2 = &cluster.nodes[1];
        assert_eq!(pid_of_guest(n2).await, process);
        assert_eq!(n2.task("qemu_stop", guest).await, "OK");
    });
}

/// covers: S3.10 S3.11 S3.83
#[test]
fn a_node_goes_on_alone_and_the_lost_ones_take_over_its_state() {
    with_cluster_bridge(async {
        let Some(mut cluster) = TestCluster::start(3).await else {
            return;
        };
        cluster.form().await;
        let refused = cluster.run(1, "pvecm expected 1");
        assert!(refused.contains("CS_ERR_INVALID_PARAM"), "{refused}");
        for node in &mut cluster.nodes[1..] {
            node.end();
            node.end_etcd();
        }
        let n1 = &cluster.nodes[0];
        until("quorum is lost", async || {
            describe(n1, "lost").await.is_err()
        })
        .await;
        until("n1 knows it", async || {
            cluster
                .run(1, "pvecm status")
                .contains("2 Activity blocked")
        })
        .await;
        let force = |input: &str| cluster.command(1, &["pvecm", "expected", "1"], input);
        let refused = force("n2\n");
        assert!(refused.contains("'n3' votes"), "{refused}");
        let forced = force("n2 n3\n");
        assert!(forced.contains("this node alone has quorum"), "{forced}");
        describe(n1, "alone").await.unwrap();
        until("the lost ones have no votes", async || {
            votes_of(n1).await == [("n1", 1), ("n2", 0), ("n3", 0)].map(named)
        })
        .await;

        // Together the others have a majority of what was before; it does not count.
        for node in &mut cluster.nodes[1..] {
            node.start_again();
        }
        cluster.votes(3).await;
        for node in &cluster.nodes {
            until("all have the state of n1", async || {
                description(node).await == "alone"
            })
            .await;
        }
        describe(&cluster.nodes[2], "together").await.unwrap();
        assert_eq!(description(&cluster.nodes[0]).await, "together");
    });
}

fn named((name, votes): (&str, u64)) -> (String, u64) {
    (name.to_owned(), votes)
}

/// The members that a node lists, with their votes.
async fn votes_of(node: &TestNode) -> Vec<(String, u64)> {
    let nodes = node
        .call("cluster_config_nodes", json!({}))
        .await
        .unwrap()
        .data;
    let nodes = nodes.as_array().unwrap().clone();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let votes = nodes.iter().map(|node| {
        let votes = text(&node["quorum_votes"]).parse().unwrap();
        (text(&node["name"]), votes)
    });
    votes.collect()
}

/// Whether the files of a node's etcd or of its replica contain a text.
fn keeps(node: &TestNode, text: &str) -> bool {
    let state = node.root.join("var/lib/ostler");
    let searched = Command::new("grep")
        .args(["-rqaF", text])
        .args(["etcd/data", "replica"].map(|name| state.join(name)))
        .status();
    searched.unwrap().success()
}

/// covers: S3.10
#[test]
fn a_node_is_added_by_a_token_that_counts_once() {
    with_cluster_bridge(async {
        let Some(cluster) = TestCluster::start(3).await else {
            return;
        };
        let made = cluster.run(1, "pvecm create lab --link0 10.77.0.1");
        assert!(made.contains("the state is in etcd"), "{made}");
        let invited = cluster.run(1, "cluster invite -o json");
        let invited: Value = serde_json::from_str(&invited).unwrap();
        let token = invited["token"].as_str().unwrap();

        // As `pvecm add` asks: a password or token, then whether the fingerprint is right.
        let add = |number, input: &str| {
            let link = format!("10.77.0.{number}");
            let words = ["pvecm", "add", "10.77.0.1", "--link0", &link];
            cluster.command(number, &words, input)
        };
        let refused = add(2, &format!("{token}\nno\n"));
        assert!(
            refused.contains("Host key verification failed."),
            "{refused}"
        );
        let added = add(2, &format!("{token}\nyes\n"));
        assert!(
            added.contains("successfully added node 'n2' to cluster."),
            "{added}"
        );
        let refused = add(3, &format!("{token}\nyes\n"));
        assert!(
            refused.contains("this invitation is not valid"),
            "{refused}"
        );
        let joining = cluster.nodes[2].root.join("var/lib/ostler/joining");
        assert!(!joining.exists());
        let wrong = "00:".repeat(31) + "00";
        let words = [
            "pvecm",
            "add",
            "10.77.0.1",
            "--fingerprint",
            &wrong,
            "--link0",
            "10.77.0.3",
        ];
        let refused = cluster.command(3, &words, "x\n");
        assert!(refused.contains("not verified, abort!"), "{refused}");
    });
}

/// Waits until a node is in no cluster.
async fn alone(cluster: &TestCluster, number: usize) {
    until("the node is alone", async || {
        let status = cluster.run(number, "pvecm status");
        status.contains("is this node part of a cluster?")
    })
    .await;
}

/// covers: S2.79 S3.10 S3.75
#[test]
fn a_node_leaves_and_joins_again() {
    with_cluster_bridge(async {
        let Some(cluster) = TestCluster::start(3).await else {
            return;
        };
        cluster.form_of(2).await;
        let invited = cluster.run(1, "cluster invite");
        let join = invited.lines().last().unwrap();
        let join = format!("{} --link 10.77.0.3", join.trim_start_matches("ostler "));
        let joined = cluster.run(3, &join);
        assert!(
            joined.contains("successfully added node 'n3' to cluster."),
            "{joined}"
        );
        cluster.votes(3).await;
        let nodes = cluster.run(3, "pvecm nodes");
        assert!(nodes.contains("         1          1 n1\n"), "{nodes}");
        assert!(
            nodes.contains("         3          1 n3 (local)\n"),
            "{nodes}"
        );
        let status = cluster.run(1, "pvecm status");
        for line in [
            "Expected votes:   3",
            "Total votes:      3",
            "Quorum:           2  ",
        ] {
            assert!(status.lines().any(|printed| printed == line), "{status}");
        }
        let members = cluster.run(2, "cluster status");
        assert!(
            members.contains("n2") && members.contains("this node"),
            "{members}"
        );

        // It is a node on its own, and joins without being installed anew.
        let left = cluster.run(3, "cluster leave --yes");
        assert!(
            left.contains("is no member of the cluster any more"),
            "{left}"
        );
        alone(&cluster, 3).await;
        assert_eq!(cluster.join(3).await, "OK");
        cluster.votes(3).await;

        // One that is removed while it runs is refused; it forgets the cluster, and joins again.
        let forgets = cluster.run(3, "cluster leave --yes --force");
        assert!(forgets.contains("leave without it"), "{forgets}");
        let gone = cluster.run(1, "pvecm delnode n3");
        assert_eq!(gone, "Killing node 3\n");
        let n3 = &cluster.nodes[2];
        until("n3 writes nothing", async || {
            describe(n3, "x").await.is_err()
        })
        .await;
        let left = cluster.run(3, "cluster leave --yes --force");
        assert!(left.contains("which forgets the cluster"), "{left}");
        alone(&cluster, 3).await;
        assert_eq!(cluster.join(3).await, "OK");
        cluster.votes(3).await;
    });
}
