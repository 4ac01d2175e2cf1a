//! Guests that start at boot.

use crate::harness::namespace::with_bridge;
use crate::harness::{TestNode, left_out, put_guest, put_node_options, until};
use model::Clock;
use serde_json::{Value, json};

async fn status(node: &TestNode, vmid: u32) -> Value {
    let params = json!({"node": "pve1", "vmid": vmid});
    node.call("qemu_status", params).await.unwrap().data["status"].clone()
}

// covers: S2.48
#[test]
fn guests_start_with_the_machine_in_their_order_and_once() {
    if left_out("onboot") {
        return;
    }
    with_bridge(async {
        let node = TestNode::start(async |store| {
            let guest = |startup: &str| -> Vec<(&str, Value)> {
                let startup = Value::from(startup);
                vec![
                    ("memory", "64".into()),
                    ("kvm", 0.into()),
                    ("onboot", 1.into()),
                    ("startup", startup),
                ]
            };
            put_guest(store, 100, &guest("order=2")).await;
            put_guest(store, 101, &guest("order=1,up=1")).await;
            put_guest(store, 102, &[("memory", "64".into()), ("kvm", 0.into())]).await;
        })
        .await;
        until("the last one runs", async || {
            status(&node, 100).await == "running"
        })
        .await;
        assert_eq!(status(&node, 101).await, "running");
        assert_eq!(status(&node, 102).await, "stopped");
        let list = json!({"node": "pve1", "source": "all", "typefilter": "qmstart"});
        let tasks = node.call("task_list", list).await.unwrap().data;
        // Newest first: the router before the guests that need it, and a second between them.
        let started: Vec<&Value> = tasks
            .as_array()
            .unwrap()
            .iter()
            .map(|task| &task["id"])
            .collect();
        assert_eq!(started, ["100", "101"]);
        let at = |index: usize| tasks[index]["starttime"].as_i64().unwrap();
        assert!(at(0) > at(1), "{tasks}");

        // Only the host's boot counts, not the agent's start.
        let stop = json!({"node": "pve1", "vmid": 100});
        assert_eq!(node.task("qemu_stop", stop).await, "OK");
        node.kill_role("node").await;
        assert_eq!(
            node.task("qemu_stop", json!({"node": "pve1", "vmid": 101}))
                .await,
            "OK"
        );
        assert_eq!(status(&node, 100).await, "stopped");
    });
}

#[test]
fn the_first_guest_waits_as_long_as_the_node_says() {
    if left_out("onboot delay") {
        return;
    }
    with_bridge(async {
        const DELAY_S: i64 = 3;
        let begun = sys::SystemClock::default().wall();
        let node = TestNode::start(async |store| {
            put_node_options(store, &[("startall-onboot-delay", DELAY_S.into())]).await;
            let options = [
                ("memory", "64".into()),
                ("kvm", 0.into()),
                ("onboot", 1.into()),
            ];
            put_guest(store, 100, &options).await;
        })
        .await;
        until("it runs", async || status(&node, 100).await == "running").await;
        let list = json!({"node": "pve1", "source": "all", "typefilter": "qmstart"});
        let tasks = node.call("task_list", list).await.unwrap().data;
        let started = tasks[0]["starttime"].as_i64().unwrap();
        assert!(started >= begun + DELAY_S, "{begun} {tasks}");
    });
}
