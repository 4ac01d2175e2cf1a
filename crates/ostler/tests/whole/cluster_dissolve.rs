//! A node becomes a cluster, and a node again, while its guest runs.

use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::left_out::missing;

use crate::cluster_create::{create, describe, description, node, pid_of_guest, pvecm};
use crate::harness::breaking::Break;
use crate::harness::cluster::etcd_program;
use crate::harness::namespace::with_bridge;
use crate::harness::{TestNode, about, left_out};

/// A node whose guest 100 runs, with the folder of etcd; none if that is not possible here.
async fn running_node(test: &str) -> Option<(TestNode, TempDir)> {
    if left_out(test) {
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    let Some(etcd) = etcd_program(folder.path()) else {
        missing(test, "there is no etcd in the cache of ./x");
        return None;
    };
    let node = node(&etcd).await;
    assert_eq!(node.task("qemu_start", about(100, json!({}))).await, "OK");
    Some((node, folder))
}

async fn dissolve(node: &TestNode) -> String {
    node.task("cluster_dissolve", json!({})).await
}

fn is_cluster(node: &TestNode) -> bool {
    pvecm(node, "status").0 == Some(0)
}

/// What is left of etcd and the replica.
fn leftovers(node: &TestNode) -> Vec<&'static str> {
    let state = node.root.join("var/lib/ostler");
    let names = ["etcd", "replica", "store.json"];
    names
        .into_iter()
        .filter(|name| state.join(name).exists())
        .collect()
}

/// covers: S4.1 S4.2
#[test]
fn a_cluster_becomes_a_node_again_while_its_guest_runs() {
    with_bridge(async {
        let Some((mut node, _etcd)) = running_node("cluster_dissolve").await else {
            return;
        };
        let guest = pid_of_guest(&node).await;
        let refused = node.call("cluster_dissolve", json!({})).await.unwrap_err();
        assert_eq!(refused.message, "this node is in no cluster");

        for round in ["first", "second"] {
            assert_eq!(create(&node, "lab", "127.0.0.1").await.unwrap(), "OK");
            describe(&node, round).await.unwrap();
            assert_eq!(dissolve(&node).await, "OK");
            assert!(!is_cluster(&node));
            assert_eq!(leftovers(&node), [""; 0]);
            assert_eq!(node.etcd(), None);
            assert_eq!(description(&node).await, round);
            describe(&node, "alone").await.unwrap();
            assert_eq!(pid_of_guest(&node).await, guest);
        }
        node.restart_after(|| {}).await;
        assert_eq!(description(&node).await, "alone");
        let members = node.call("cluster_status", json!({})).await.unwrap().data;
        assert_eq!(members.as_array().unwrap().len(), 1, "{members}");
        assert_eq!(pid_of_guest(&node).await, guest);
        assert_eq!(node.task("qemu_stop", about(100, json!({}))).await, "OK");
    });
}

/// Changes go on while the state moves, and each that was accepted is there afterwards.
#[test]
fn changes_wait_for_the_move_and_are_kept() {
    with_bridge(async {
        let Some((node, _etcd)) = running_node("cluster_dissolve: changes").await else {
            return;
        };
        assert_eq!(create(&node, "lab", "127.0.0.1").await.unwrap(), "OK");
        let moving = std::sync::atomic::AtomicBool::new(true);
        let mut last = String::new();
        let changes = async {
            let mut count = 0;
            while moving.load(std::sync::atomic::Ordering::Relaxed) {
                count += 1;
                let text = format!("change {count}");
                if describe(&node, &text).await.is_ok() {
                    last = text;
                }
            }
        };
        let moved = async {
            let status = dissolve(&node).await;
            moving.store(false, std::sync::atomic::Ordering::Relaxed);
            status
        };
        let ((), status) = tokio::join!(changes, moved);
        assert_eq!(status, "OK");
        assert_eq!(description(&node).await, Value::from(last));
    });
}

/// The agent dies at every line of both tasks' journals: the state is in one place, and whole.
#[test]
#[ignore = "thorough: kills the agent at each step of both tasks"]
fn wherever_the_move_is_broken_off_one_state_counts() {
    with_bridge(async {
        let Some((node, _etcd)) = running_node("cluster_dissolve: kills").await else {
            return;
        };
        let guest = pid_of_guest(&node).await;
        let moments = [0, 15, 120].map(|ms| Break::Death(Duration::from_millis(ms)));
        let moments = moments.into_iter().chain([Break::Stop]);
        let mut described = 0;
        for (op, params, becomes) in [
            (
                "cluster_create",
                json!({"clustername": "lab", "link0": "127.0.0.1"}),
                true,
            ),
            ("cluster_dissolve", json!({}), false),
        ] {
            for how in moments.clone() {
                // A task can be stopped once its first act has begun.
                let first = if matches!(how, Break::Stop) { 2 } else { 1 };
                for line in first.. {
                    if is_cluster(&node) == becomes {
                        let back = match becomes {
                            true => dissolve(&node).await,
                            false => create(&node, "lab", "127.0.0.1").await.unwrap(),
                        };
                        assert_eq!(back, "OK");
                    }
                    described += 1;
                    describe(&node, &described.to_string()).await.unwrap();
                    let broken = node.break_off(op, params.clone(), line, how).await;
                    let said = format!("{op}, line {line}, {how:?}: {broken:?}");
                    println!("{said}");
                    assert_eq!(is_cluster(&node), broken.is_ok() == becomes, "{said}");
                    let found = description(&node).await;
                    assert_eq!(found, described.to_string(), "{said}");
                    described += 1;
                    describe(&node, &described.to_string()).await.unwrap();
                    assert_eq!(pid_of_guest(&node).await, guest, "{said}");
                    if !is_cluster(&node) {
                        assert_eq!(leftovers(&node), [""; 0], "{said}");
                    }
                    if broken.after.is_none() {
                        break;
                    }
                }
            }
        }
    });
}
