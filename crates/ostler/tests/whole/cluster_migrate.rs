//! A guest moves between nodes that are processes of their own, with one state in etcd.

use std::process::Command;

use history::Object;
use model::VmId;
use serde_json::{Value, json};

use crate::harness::cluster::{TestCluster, with_cluster_bridge};
use crate::harness::past::put_history;
use crate::harness::{TestNode, until};

/// Where the guest runs, as a node sees it; the node is asked for it until it knows.
async fn running_at(asked: &TestNode, node: &str) -> bool {
    let status = asked.call("qemu_status", json!({"node": node, "vmid": 100}));
    status
        .await
        .is_ok_and(|status| status.data["status"] == "running")
}

/// Moves the guest by a request at any node.
async fn migrate(asked: &TestNode, from: &str, to: &str, online: bool) -> String {
    let moved = json!({"node": from, "vmid": 100, "target": to, "online": u8::from(online)});
    asked.task("qemu_migrate", moved).await
}

/// Gives the guest, which is at n2, a card that is to be kept apart from others.
async fn give_an_isolated_card(asked: &TestNode) {
    let isolation = json!({"tags": "customer"});
    asked
        .call("ostler_isolation_update", isolation)
        .await
        .unwrap();
    let card = json!({
        "node": "n2", "vmid": 100, "tags": "customer",
        "net0": "virtio=BC:24:11:00:01:00,bridge=vmbr0",
    });
    asked.call("qemu_configure", card).await.unwrap();
}

/// Whether the guest's card is kept apart from others on its node's bridge.
fn is_isolated(cluster: &TestCluster, number: usize) -> bool {
    let pid = cluster.namespace(number).to_string();
    let shown = Command::new("nsenter")
        .args(["--target", &pid, "--net", "bridge", "-d", "link", "show"])
        .args(["dev", "tap100i0"])
        .output()
        .unwrap();
    String::from_utf8_lossy(&shown.stdout).contains("isolated on")
}

/// covers: S0.32 S1.3 S2.87 S3.72 S3.85
#[test]
fn a_guest_moves_between_nodes_asked_at_any_of_them() {
    with_cluster_bridge(async {
        let Some(cluster) = TestCluster::start(3).await else {
            return;
        };
        cluster.form().await;
        let [n1, n2, n3] = &cluster.nodes[..] else {
            unreachable!()
        };
        let guest = |node: &str| json!({"node": node, "vmid": 100});
        until("the links are there", async || {
            n3.call("node_status", json!({"node": "n1"})).await.is_ok()
                && n1.call("node_status", json!({"node": "n2"})).await.is_ok()
        })
        .await;
        let history = |node: &TestNode| node.root.join("var/lib/ostler/history/guest/100");
        let guest_100 = Object::Guest(VmId::new(100).unwrap());
        put_history(&n1.root, (0..=20).rev(), &[(guest_100, &[("cpu", 0.25)])]).await;
        // Stopped, then running; asked at a third node, which owns nothing of it.
        assert_eq!(migrate(n3, "n1", "n2", false).await, "OK");
        until("its history has followed it", async || {
            let about = json!({"node": "n2", "vmid": 100, "timeframe": "hour"});
            let rows = n1.call("qemu_rrddata", about).await.unwrap().data;
            let known = rows
                .as_array()
                .unwrap()
                .iter()
                .filter(|row| row["cpu"] == 0.25);
            known.count() >= 19 && !history(n1).exists() && history(n2).exists()
        })
        .await;
        give_an_isolated_card(n3).await;
        assert_eq!(n3.task("qemu_start", guest("n2")).await, "OK");
        assert!(is_isolated(&cluster, 2));
        let precheck = n1.call("qemu_migrate_precondition", guest("n2")).await;
        assert_eq!(precheck.unwrap().data["allowed_nodes"], json!(["n1", "n3"]));
        no_room_at_the_target([n1, n3]).await;
        let cpu = n1.call("ostler_cpu", json!({})).await.unwrap().data;
        let has_all = |row: &Value| row["lacks"] == json!([]) && row["cpu"] == cpu["cpu"];
        let rows = cpu["nodes"].as_array().unwrap();
        assert!(rows.len() == 3 && rows.iter().all(has_all), "{cpu}");
        assert_eq!(migrate(n3, "n2", "n1", true).await, "OK");
        assert!(running_at(n2, "n1").await);
        assert!(is_isolated(&cluster, 1));
        // The agent of neither side is needed for the guest to go on.
        n1.kill_role("node").await;
        until("the guest is seen again", async || {
            running_at(n3, "n1").await
        })
        .await;
        // Over a network of its own.
        for number in [1, 3] {
            let pid = cluster.namespace(number).to_string();
            let address = format!("10.78.0.{number}/24");
            let add = [
                "--target", &pid, "--net", "ip", "addr", "add", &address, "dev", "eth0",
            ];
            let added = Command::new("nsenter").args(add).status().unwrap();
            assert!(added.success());
        }
        let over = json!({"migration": "secure,network=10.78.0.0/24"});
        n2.call("cluster_options_update", over).await.unwrap();
        assert_eq!(migrate(n1, "n1", "n3", true).await, "OK");
        until("it runs at n3", async || running_at(n2, "n3").await).await;
        let resources = n3.call("qemu_config", guest("n3")).await.unwrap().data;
        assert_ne!(resources, Value::Null);
        assert_eq!(n1.task("qemu_stop", guest("n3")).await, "OK");
    });
}

/// A node whose policy has no room for a guest that runs is named beforehand, and refuses it.
async fn no_room_at_the_target([n1, n3]: [&TestNode; 2]) {
    let reserve = json!({"node": "n1", "memory-reserve": 100_000_000});
    n3.call("node_admission_update", reserve).await.unwrap();
    let precheck = n1
        .call(
            "qemu_migrate_precondition",
            json!({"node": "n2", "vmid": 100}),
        )
        .await;
    let precheck = precheck.unwrap().data;
    assert_eq!(precheck["allowed_nodes"], json!(["n3"]));
    let why = precheck["not_allowed_nodes"]["n1"]["reasons"][0].as_str();
    let begin = "node 'n1': not enough memory: 32 MiB needed, 0 MiB free";
    assert!(why.unwrap().starts_with(begin), "{precheck}");
    let refused = migrate(n3, "n2", "n1", true).await;
    assert!(refused.contains("not enough memory"), "{refused}");
    assert!(running_at(n3, "n2").await);
    let none = json!({"node": "n1", "delete": "memory-reserve"});
    n3.call("node_admission_update", none).await.unwrap();
}
