//! Certificates are renewed while they are in use.

use serde_json::{Value, json};

use crate::harness::cluster::{TestCluster, describe, description, with_cluster_bridge};
use crate::harness::{TestNode, until};

async fn fingerprint(node: &TestNode) -> Value {
    let join = node.call("cluster_config_join", json!({})).await.unwrap();
    let nodes = join.data["nodelist"].as_array().unwrap().clone();
    let own = nodes.into_iter().find(|row| row["name"] == node.name);
    own.unwrap()["pve_fp"].clone()
}

/// covers: S2.80
#[test]
fn certificates_are_renewed_without_a_restart() {
    with_cluster_bridge(async {
        let Some(cluster) = TestCluster::start(3).await else {
            return;
        };
        cluster.form().await;
        let processes = |node: &TestNode| (node.role("node"), node.role("api"), node.etcd());
        let before: Vec<_> = cluster.nodes.iter().map(processes).collect();
        assert_eq!(
            cluster.run(2, "pvecm updatecerts"),
            "(re)generate node files\n"
        );
        for (number, node) in (1..).zip(&cluster.nodes) {
            let shown = fingerprint(node).await;
            for _ in 0..2 {
                let printed = cluster.run(number, "pvecm updatecerts --force");
                for name in ["node", "agent", "etcd client", "etcd server"] {
                    assert!(
                        printed.contains(&format!("generate new {name} cert")),
                        "{printed}"
                    );
                }
            }
            assert_ne!(fingerprint(node).await, shown);
        }
        let after: Vec<_> = cluster.nodes.iter().map(processes).collect();
        assert_eq!(after, before);

        // New connections are made with the new ones: between agents, to etcd, among its servers.
        for number in [1, 2, 3] {
            cluster.cut(number);
        }
        let [n1, n2, n3] = &cluster.nodes[..] else {
            unreachable!()
        };
        until("nothing can be changed", async || {
            describe(n1, "cut").await.is_err()
        })
        .await;
        for number in [1, 2, 3] {
            cluster.heal(number);
        }
        until("all goes on", async || describe(n2, "healed").await.is_ok()).await;
        until("at each node", async || description(n3).await == "healed").await;
        for name in ["n1", "n2", "n3"] {
            until("each asks each", async || {
                let mut answers = true;
                for node in &cluster.nodes {
                    answers &= node
                        .call("node_status", json!({"node": name}))
                        .await
                        .is_ok();
                }
                answers
            })
            .await;
        }
        n3.end_etcd();
        cluster.votes(3).await;
        until("its etcd is back", async || {
            describe(n3, "back").await.is_ok()
        })
        .await;
        assert_eq!(after[0].0, n1.role("node"));
    });
}
