//! Snapshot jobs of a real guest: by the schedule, at once, and with an agent that is killed.

use serde_json::{Value, json};

use crate::harness::namespace::with_bridge;
use crate::harness::{Serial, TestNode, about, left_out, tiny_disk, until};

async fn job(node: &TestNode) -> Value {
    let one = json!({"id": "often"});
    node.call("snapshot_job_get", one).await.unwrap().data
}

/// The job's snapshots of the guest, as clients of Proxmox VE see them.
async fn snapshots(node: &TestNode) -> Vec<Value> {
    let list = node.call("qemu_snapshot_list", about(100, json!({})));
    let list = list.await.unwrap().data;
    let rows = list.as_array().unwrap().iter();
    let is_its = |row: &&Value| row["description"] == "made by snapshot job 'often'";
    rows.filter(is_its).cloned().collect()
}

async fn change(node: &TestNode, options: Value) {
    let mut params = json!({"id": "often"});
    for (name, value) in options.as_object().unwrap() {
        params[name] = value.clone();
    }
    node.call("snapshot_job_update", params).await.unwrap();
}

// covers: S4.16
#[test]
fn a_running_guest_has_snapshots_by_a_schedule_and_the_newest_stay() {
    if left_out("snapshot jobs") {
        return;
    }
    let Some(disk) = tiny_disk() else {
        return;
    };
    with_bridge(async {
        let node = TestNode::with_tiny(&disk).await;
        assert_eq!(node.task("qemu_start", about(100, json!({}))).await, "OK");
        let serial = node.root.join("run/ostler/guests/100/serial0.sock");
        Serial::connect(&serial).expect("tiny: ready");
        let snapname = json!({"snapname": "mine"});
        assert_eq!(node.task("qemu_snapshot", about(100, snapname)).await, "OK");
        let often = json!({"id": "often", "schedule": "*:*:0/3", "all": 1, "keep-last": 2});
        node.call("snapshot_job_create", often).await.unwrap();
        until(
            "a third run has removed the first one's snapshot",
            async || {
                let runs = job(&node).await;
                let names = snapshots(&node).await;
                let is_third = runs["nodes"][0]["upid"].as_str().is_some();
                is_third && names.len() == 2 && log(&node, &runs).await.contains("removed")
            },
        )
        .await;
        // The agent is killed while the schedule goes on; what was made stays whole.
        node.kill_role("node").await;
        until("a run after the restart", async || {
            let runs = job(&node).await;
            runs["state"] == "OK" && runs["nodes"][0]["status"] == "OK"
        })
        .await;
        change(&node, json!({"schedule": "monthly"})).await;
        until("the last run has ended", async || {
            job(&node).await["state"] != "running"
        })
        .await;

        // At once, of a guest that is named; one that is not there is named in the log.
        change(&node, json!({"vmid": "100,999", "keep-last": 1})).await;
        let begun = node.call("snapshot_job_run", json!({"id": "often"})).await;
        let begun = begun.unwrap().data;
        let upid = begun[0]["upid"].as_str().unwrap();
        assert_eq!(node.ended(upid).await, "WARNINGS: 1");
        let left = snapshots(&node).await;
        assert_eq!(left.len(), 1, "{left:?}");
        assert!(left[0]["snapstate"].is_null(), "{left:?}");
        let text = log(&node, &begun).await;
        assert!(text.contains("WARN: guest 999 does not exist"), "{text}");
        let list = node.call("qemu_snapshot_list", about(100, json!({}))).await;
        let list = list.unwrap().data.to_string();
        assert!(list.contains(r#""mine""#), "{list}");

        // With its guest purged the job is for the other one.
        assert_eq!(node.task("qemu_stop", about(100, json!({}))).await, "OK");
        let purge = about(100, json!({"purge": 1}));
        assert_eq!(node.task("qemu_destroy", purge).await, "OK");
        assert_eq!(job(&node).await["vmid"], "999");
    });
}

/// The log of the task that the first node of an answer names.
async fn log(node: &TestNode, answer: &Value) -> String {
    let row = match answer.get("nodes") {
        Some(nodes) => &nodes[0],
        None => &answer[0],
    };
    let params = json!({"node": "pve1", "upid": row["upid"], "limit": 500});
    let lines = node.call("task_log", params).await.unwrap().data;
    let lines = lines.as_array().unwrap().iter();
    lines
        .filter_map(|line| line["t"].as_str())
        .collect::<Vec<_>>()
        .join("\n")
}
