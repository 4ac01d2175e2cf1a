//! A machine of a profile: a clone of a template with the profile's options, a larger disk, started.

use serde_json::json;

use crate::harness::namespace::with_bridge;
use crate::harness::{Serial, TestNode, about, left_out, tiny_disk, until};

/// The disk and the processors of a machine that has just been started, as it sees them.
async fn sees(node: &TestNode, vmid: u32) -> String {
    let socket = node
        .root
        .join(format!("run/ostler/guests/{vmid}/serial0.sock"));
    let mut serial = Serial::connect(&socket);
    serial.expect("tiny: ready");
    serial.ask("cat /sys/block/vda/size; nproc")
}

// covers: S1.46 S4.7
#[test]
fn a_class_of_machines_is_stored_and_stamped_out() {
    if left_out("profiles") {
        return;
    }
    let Some(disk) = tiny_disk() else {
        return;
    };
    with_bridge(async {
        let node = TestNode::with_tiny(&disk).await;
        assert_eq!(
            node.task("qemu_template", about(100, json!({}))).await,
            "OK"
        );
        let class = json!({
            "profile": "worker", "from": 100, "disk-size": "virtio0=96M", "cores": 2,
            "memory": "192", "balloon": 128, "net0": "virtio,bridge=vmbr0", "tags": "worker",
        });
        node.call("profile_create", class).await.unwrap();
        let two = json!({"node": "pve1", "profile": "worker", "name": "w", "count": 2});
        let made = node.call("profile_instances", two).await.unwrap().data;
        let mut macs = Vec::new();
        for row in made.as_array().unwrap() {
            assert_eq!(node.ended(row["upid"].as_str().unwrap()).await, "OK");
            let vmid = u32::try_from(row["vmid"].as_u64().unwrap()).unwrap();
            let config = node
                .call("qemu_config", about(vmid, json!({})))
                .await
                .unwrap()
                .data;
            for (name, value) in [
                ("name", &row["name"]),
                ("cores", &json!(2)),
                ("memory", &json!("192")),
                ("tags", &json!("worker")),
            ] {
                assert_eq!(config[name], *value, "{config}");
            }
            assert!(
                config["virtio0"].as_str().unwrap().contains("size=96M"),
                "{config}"
            );
            assert!(config.get("template").is_none(), "{config}");
            macs.push(config["net0"].clone());
            let started = node.task("qemu_start", about(vmid, json!({}))).await;
            assert_eq!(started, "OK");
            let sees = sees(&node, vmid).await;
            assert!(sees.contains("196608") && sees.contains('2'), "{sees}");
            assert_eq!(node.task("qemu_stop", about(vmid, json!({}))).await, "OK");
        }
        assert_ne!(macs[0], macs[1]);
        // One that is wanted at once is started by itself.
        let at_once = json!({"node": "pve1", "profile": "worker", "start": 1, "vmid": 300});
        let made = node.call("profile_instances", at_once).await.unwrap().data;
        assert_eq!(node.ended(made[0]["upid"].as_str().unwrap()).await, "OK");
        until("the machine runs", async || {
            let status = node.call("qemu_status", about(300, json!({}))).await;
            status.unwrap().data["status"] == "running"
        })
        .await;
        assert_eq!(node.task("qemu_stop", about(300, json!({}))).await, "OK");
        // A disk is never made smaller.
        let small = json!({"profile": "worker", "disk-size": "virtio0=16M"});
        node.call("profile_update", small).await.unwrap();
        let one = json!({"node": "pve1", "profile": "worker"});
        let made = node.call("profile_instances", one).await.unwrap().data;
        let ended = node.ended(made[0]["upid"].as_str().unwrap()).await;
        assert!(ended.contains("not shrunk"), "{ended}");
    });
}
