//! How much guests may be promised: refusals with figures, at once and before the start.

use serde_json::{Value, json};

use crate::harness::namespace::with_bridge;
use crate::harness::{TestNode, left_out};
use crate::lxc_life::log_of;

const MIB: u64 = 1 << 20;

async fn guest_admission(node: &TestNode, vmid: u32) -> Value {
    let about = json!({"node": "pve1", "vmid": vmid});
    node.call("guest_admission", about).await.unwrap().data
}

async fn policy(node: &TestNode, change: Value) {
    let operation = match change.get("node") {
        Some(_) => "node_admission_update",
        None => "ostler_admission_update",
    };
    node.call(operation, change).await.unwrap();
}

async fn power(node: &TestNode, operation: &str, vmid: u32) -> String {
    let about = json!({"node": "pve1", "vmid": vmid});
    node.task(operation, about).await
}

/// A node with three guests of 96 MiB, whose policy leaves 200 MiB for guests.
async fn small_node() -> TestNode {
    let node = TestNode::start_with("emulate = true", async |_| {}).await;
    for vmid in [100, 101, 102] {
        let guest = json!({"node": "pve1", "vmid": vmid, "memory": "96", "cores": 2, "kvm": 0});
        assert_eq!(node.task("qemu_create", guest).await, "OK");
    }
    let about = json!({"node": "pve1"});
    let rooms = node.call("node_admission", about).await.unwrap().data;
    assert_eq!(rooms["memory"]["limit"], Value::Null);
    let total = rooms["memory"]["total"].as_u64().unwrap() / MIB;
    let reserve = json!({"memory-reserve": total - 200});
    policy(&node, reserve).await;
    node
}

// covers: S0.26 S0.27 S3.43 S4.9
#[test]
fn guests_are_admitted_by_what_they_are_promised() {
    if left_out("admission") {
        return;
    }
    with_bridge(async {
        let node = small_node().await;
        let fits = guest_admission(&node, 100).await;
        assert_eq!(
            (&fits["fits"], &fits["overcommits"]),
            (&json!(1), &json!(0))
        );
        assert_eq!(fits["needs"], json!({"memory": 96 * MIB, "cpus": 2}));
        for vmid in [100, 101] {
            assert_eq!(power(&node, "qemu_start", vmid).await, "OK");
        }
        let refused = guest_admission(&node, 102).await;
        assert_eq!(
            (&refused["fits"], &refused["guests"]),
            (&json!(0), &json!(2))
        );
        assert_eq!(refused["memory"]["committed"], 192 * MIB);
        let why = refused["reason"].as_str().unwrap();
        let begin =
            "not enough memory: 96 MiB needed, 8 MiB free: running guests have 192 MiB of 20";
        assert!(why.starts_with(begin), "{why}");
        assert_eq!(power(&node, "qemu_start", 102).await, why);
        // A ratio lets more be promised; a node's own comes before the cluster's.
        policy(&node, json!({"node": "pve1", "memory-ratio": 1.5})).await;
        assert_eq!(power(&node, "qemu_start", 102).await, "OK");
        let rooms = node.call("node_admission", json!({"node": "pve1"})).await;
        let rooms = rooms.unwrap().data;
        assert_eq!(rooms["policy"], json!({"memory-ratio": 1.5}));
        assert!(rooms["memory"]["ratio"].as_f64().unwrap() > 1.0, "{rooms}");
        two_at_once(&node).await;
        processors(&node).await;
        what_is_refused(&node).await;
    });
}

/// Two starts at the same time do not get the same memory.
async fn two_at_once(node: &TestNode) {
    for vmid in [101, 102] {
        assert_eq!(power(node, "qemu_stop", vmid).await, "OK");
    }
    let own = json!({"node": "pve1", "delete": "memory-ratio"});
    policy(node, own).await;
    for _ in 0..3 {
        let (one, other) = tokio::join!(
            power(node, "qemu_start", 101),
            power(node, "qemu_start", 102)
        );
        let started = [&one, &other].iter().filter(|end| **end == "OK").count();
        assert_eq!(started, 1, "{one}, {other}");
        for vmid in [101, 102] {
            power(node, "qemu_stop", vmid).await;
        }
    }
    // A warning instead of a refusal.
    assert_eq!(power(node, "qemu_start", 101).await, "OK");
    policy(node, json!({"mode": "warn"})).await;
    assert_eq!(power(node, "qemu_start", 102).await, "WARNINGS: 1");
    let tasks = node.call("task_list", json!({"node": "pve1", "vmid": 102}));
    let tasks = tasks.await.unwrap().data;
    let log = log_of(node, tasks[0]["upid"].as_str().unwrap()).await;
    assert!(log.contains("WARN: not enough memory: "), "{log}");
}

async fn processors(node: &TestNode) {
    for vmid in [101, 102] {
        assert_eq!(power(node, "qemu_stop", vmid).await, "OK");
    }
    let rooms = guest_admission(node, 101).await;
    let total = rooms["cpus"]["total"].as_u64().unwrap();
    let ratio = 3.0 / total as f64;
    let change = json!({"mode": "refuse", "cpu-ratio": ratio, "delete": "memory-reserve"});
    policy(node, change).await;
    let end = power(node, "qemu_start", 101).await;
    let begin = "not enough CPUs: 2 needed, 1 free: running guests have 2 of 3 (";
    assert!(end.starts_with(begin), "{end}");
}

async fn what_is_refused(node: &TestNode) {
    let refused = async |change: Value| {
        let error = node.call("ostler_admission_update", change).await;
        error.unwrap_err()
    };
    let before = node.call("ostler_admission", json!({})).await.unwrap().data;
    let low = refused(json!({"memory-ratio": 0})).await;
    assert!(low.fields.contains_key("memory-ratio"), "{low:?}");
    let negative = refused(json!({"memory-reserve": -1})).await;
    assert!(
        negative.fields.contains_key("memory-reserve"),
        "{negative:?}"
    );
    let unknown = refused(json!({"delete": "color"})).await;
    assert_eq!(unknown.message, "no such option 'color'");
    let old = json!({"cpu-ratio": 1, "digest": "0".repeat(40)});
    assert!(
        refused(old)
            .await
            .message
            .contains("modified configuration")
    );
    let elsewhere = json!({"node": "nope", "cpu-ratio": 1});
    let missing = node.call("node_admission_update", elsewhere).await;
    assert!(missing.unwrap_err().message.contains("'nope'"));
    let after = node.call("ostler_admission", json!({})).await.unwrap().data;
    assert_eq!(before, after);
}
