//! The status of a node and its guests: status, lists, figures.

use crate::harness::https::request;
use crate::harness::namespace::with_bridge;
use crate::harness::{Serial, TestNode, left_out, tiny_disk, until};
use serde_json::{Value, json};

fn guest(vmid: u32) -> Value {
    json!({"node": "pve1", "vmid": vmid})
}

/// A header with root's credential.
async fn root_token(node: &TestNode) -> (&'static str, String) {
    let params = json!({"userid": "root@pam", "tokenid": "test", "privsep": 0});
    let token = node.call("token_create", params).await.unwrap().data;
    let (id, secret) = (token["full-tokenid"].as_str(), token["value"].as_str());
    (
        "Authorization",
        format!("PVEAPIToken={}={}", id.unwrap(), secret.unwrap()),
    )
}

async fn get(node: &TestNode, token: &(&'static str, String), path: &str) -> Value {
    let path = format!("/api2/json{path}");
    let response = request(node.port, "GET", &path, std::slice::from_ref(token), None).await;
    assert_eq!(response.status(), 200, "{path}: {}", response.status_line);
    response.json()["data"].clone()
}

// covers: S2.33
#[test]
fn a_guests_counters_grow_while_it_runs_and_begin_again_with_its_start() {
    if left_out("status") {
        return;
    }
    let Some(disk) = tiny_disk() else { return };
    with_bridge(async {
        let node = TestNode::with_tiny(&disk).await;
        let token = root_token(&node).await;
        let list = get(&node, &token, "/nodes/pve1/qemu?full=1").await;
        assert_eq!(
            (&list[0]["status"], &list[0]["uptime"]),
            (&json!("stopped"), &json!(0))
        );
        assert_eq!(node.task("qemu_start", guest(100)).await, "OK");
        // A start is visible at once, in every list.
        until("the list shows it", async || {
            get(&node, &token, "/cluster/resources?type=vm").await[0]["status"] == "running"
        })
        .await;
        let mut serial = Serial::connect(&node.root.join("run/ostler/guests/100/serial0.sock"));
        serial.expect("tiny: ready");
        until("it has been measured", async || {
            let row = get(&node, &token, "/cluster/resources?type=vm").await[0].clone();
            row["diskread"].as_u64().unwrap() > 0 && row["uptime"].as_u64().unwrap() > 0
        })
        .await;
        let current = node.call("qemu_status", guest(100)).await.unwrap().data;
        assert!(current["diskread"].as_u64().unwrap() > 0, "{current}");
        assert!(
            current["memhost"].as_u64().unwrap() > 0 && current["nics"].is_object(),
            "{current}"
        );
        assert_eq!(
            (&current["maxdisk"], &current["tags"]),
            (&json!(64 << 20), &json!("lab"))
        );
        let before = current["uptime"].as_u64().unwrap();

        // Counters belong to the guest and survive a restart of the platform.
        node.kill_role("node").await;
        node.kill_role("api").await;
        until("the list is back", async || {
            let row = get(&node, &token, "/cluster/resources?type=vm").await[0].clone();
            row["uptime"]
                .as_u64()
                .is_some_and(|uptime| uptime >= before)
                && row["diskread"].as_u64() >= current["diskread"].as_u64()
        })
        .await;

        assert_eq!(node.task("qemu_stop", guest(100)).await, "OK");
        until("the list shows the end", async || {
            let row = get(&node, &token, "/cluster/resources?type=vm").await[0].clone();
            row["status"] == "stopped" && row["diskread"] == 0 && row["uptime"] == 0
        })
        .await;
        assert_eq!(node.task("qemu_start", guest(100)).await, "OK");
        let again = node.call("qemu_status", guest(100)).await.unwrap().data;
        assert!(again["uptime"].as_u64().unwrap() < before.max(5), "{again}");
    });
}
