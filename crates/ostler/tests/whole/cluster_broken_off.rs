//! The agent of a node that joins or leaves dies at every line of the task's journal.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::breaking::Break;
use crate::harness::cluster::{TestCluster, describe, with_cluster_bridge};
use crate::harness::until;

/// Between two acts, and in the middle of one.
const MOMENTS: [Duration; 2] = [Duration::ZERO, Duration::from_millis(40)];

/// Whether the first node lists the third one as a member, and what that says of itself.
async fn is_member(cluster: &TestCluster) -> [bool; 2] {
    let listed = cluster.nodes[0].call("cluster_config_nodes", json!({}));
    let listed = listed.await.unwrap().data;
    let listed = listed
        .as_array()
        .unwrap()
        .iter()
        .any(|row| row["name"] == "n3");
    let own = cluster.run(3, "pvecm status");
    [listed, !own.contains("is this node part of a cluster?")]
}

/// Waits until both say the same.
async fn agreed(cluster: &TestCluster) -> bool {
    let mut said = [false; 2];
    until("both sides agree", async || {
        said = is_member(cluster).await;
        said[0] == said[1]
    })
    .await;
    said[0]
}

/// covers: S3.10
#[test]
#[ignore = "thorough: kills the agent at each step of both tasks"]
fn a_join_and_a_leave_end_wherever_they_are_broken_off() {
    with_cluster_bridge(async {
        let Some(cluster) = TestCluster::start(3).await else {
            return;
        };
        cluster.form_of(2).await;
        let [n1, _, n3] = &cluster.nodes[..] else {
            unreachable!()
        };
        for op in ["cluster_join", "cluster_leave"] {
            let joins = op == "cluster_join";
            for moment in MOMENTS {
                for line in 1.. {
                    if agreed(&cluster).await == joins {
                        let back = match joins {
                            true => n3.task("cluster_leave", json!({})).await,
                            false => cluster.join(3).await,
                        };
                        assert_eq!(back, "OK");
                        until("it is so", async || {
                            is_member(&cluster).await == [!joins; 2]
                        })
                        .await;
                    }
                    if !joins {
                        // Its vote is a task of its own.
                        cluster.votes(3).await;
                    }
                    let params = match joins {
                        true => cluster.invitation(3).await,
                        false => Value::Object(serde_json::Map::new()),
                    };
                    let broken = n3.break_off(op, params, line, Break::Death(moment)).await;
                    let said = format!("{op}, line {line}, {moment:?}: {broken:?}");
                    println!("{said}");
                    assert_eq!(agreed(&cluster).await == joins, broken.is_ok(), "{said}");
                    until("the cluster goes on", async || {
                        describe(n1, &said).await.is_ok()
                    })
                    .await;
                    let leftover = n3.root.join("var/lib/ostler/joining");
                    assert!(!leftover.exists(), "{said}");
                    if broken.after.is_none() {
                        break;
                    }
                }
            }
        }
    });
}
