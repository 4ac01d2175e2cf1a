//! Snapshot jobs of a real guest: by the schedule, at once, before changes, and with an agent that is killed.

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

/// The names of a guest's snapshots, oldest first.
async fn names(node: &TestNode, vmid: u32) -> Vec<String> {
    let list = node.call("qemu_snapshot_list", about(vmid, json!({})));
    let list = list.await.unwrap().data;
    let names = list
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["name"].as_str().unwrap().to_owned());
    names.filter(|name| name != "current").collect()
}

async fn config(node: &TestNode, vmid: u32) -> Value {
    let config = node.call("qemu_config", about(vmid, json!({}))).await;
    config.unwrap().data
}

// covers: S4.17
#[test]
fn a_snapshot_is_made_before_a_change_or_nothing_is_changed() {
    if left_out("snapshots before changes") {
        return;
    }
    let Some(disk) = tiny_disk() else {
        return;
    };
    with_bridge(async {
        let node = TestNode::with_tiny(&disk).await;
        let pre = json!({"id": "pre", "before": "config,resize", "tag": "lab", "keep-last": 2});
        node.call("snapshot_job_create", pre).await.unwrap();
        let set = async |vmid: u32, options: Value| {
            node.call("qemu_configure", about(vmid, options)).await
        };

        // What only describes the guest is no risk.
        set(100, json!({"description": "a guest", "onboot": 1}))
            .await
            .unwrap();
        assert_eq!(names(&node, 100).await, [""; 0]);
        // The caller's digest is of the guest without the snapshot.
        let known = config(&node, 100).await["digest"].clone();
        set(100, json!({"memory": 160, "digest": known}))
            .await
            .unwrap();
        let [first] = names(&node, 100).await.try_into().unwrap();
        assert!(first.starts_with("pre-"), "{first}");
        let of = about(100, json!({"snapname": first}));
        let kept = node.call("qemu_snapshot_config", of).await.unwrap().data;
        assert_eq!(kept["memory"], "128");
        assert_eq!(config(&node, 100).await["memory"], "160");
        let stale = set(100, json!({"memory": 192, "digest": known}))
            .await
            .unwrap_err();
        assert!(stale.message.contains("checksum mismatch"), "{stale}");
        assert_eq!(names(&node, 100).await, [first.as_str()]);

        // Each change has its own, and the newest stay.
        let grow = json!({"disk": "virtio0", "size": "+1M"});
        assert_eq!(node.task("qemu_resize", about(100, grow)).await, "OK");
        let task = about(100, json!({"cores": 2}));
        assert_eq!(node.task("qemu_configure_task", task).await, "OK");
        let left = names(&node, 100).await;
        assert_eq!(left.len(), 2, "{left:?}");
        assert!(!left.contains(&first), "{left:?}");

        // Another guest is none of its; one without a way to make a snapshot stays as it is.
        set(101, json!({"cores": 2})).await.unwrap();
        let raw = json!({"virtio0": "local:1,format=raw", "tags": "lab"});
        set(101, raw).await.unwrap();
        assert_eq!(names(&node, 101).await, [""; 0]);
        let before = config(&node, 101).await;
        let refused = set(101, json!({"cores": 3})).await.unwrap_err();
        assert!(
            refused.message.contains("nothing is changed") && refused.message.contains("'pre'"),
            "{refused}"
        );
        assert_eq!(config(&node, 101).await, before);
        let off = json!({"id": "pre", "enabled": 0});
        node.call("snapshot_job_update", off).await.unwrap();
        set(101, json!({"cores": 3})).await.unwrap();
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
