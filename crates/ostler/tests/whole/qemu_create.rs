//! Many simultaneous creations, on a real node.

use std::collections::BTreeSet;

use crate::harness::namespace::with_bridge;
use crate::harness::{TestNode, left_out};
use serde_json::json;

const COUNT: u32 = 100;

// covers: S2.38
#[test]
fn a_hundred_creations_at_once_all_succeed() {
    if left_out("qemu_create") {
        return;
    }
    with_bridge(async {
        let node = TestNode::start(async |_| {}).await;
        let started = tokio::time::Instant::now();
        // The last id is the maximum.
        let ids: Vec<u32> = (0..COUNT - 1)
            .map(|n| 10_001 + n)
            .chain([999_999_999])
            .collect();
        let creations = ids.iter().map(|vmid| {
            let params = json!({
                "node": "pve1", "vmid": vmid, "memory": "64", "kvm": 0, "scsi0": "local:0.125"
            });
            node.task("qemu_create", params)
        });
        for status in futures_util::future::join_all(creations).await {
            assert_eq!(status, "OK");
        }
        println!("{COUNT} guests with a disk each in {:?}", started.elapsed());
        for vmid in &ids {
            let params = json!({"node": "pve1", "vmid": vmid});
            let config = node.call("qemu_config", params).await.unwrap().data;
            let disk = format!("local:{vmid}/vm-{vmid}-disk-0.raw,size=128M");
            assert_eq!(config["scsi0"], disk);
            assert!(config.get("lock").is_none());
        }
        let folders: BTreeSet<u32> = std::fs::read_dir(node.root.join("var/lib/vz/images"))
            .unwrap()
            .map(|folder| {
                folder
                    .unwrap()
                    .file_name()
                    .to_string_lossy()
                    .parse()
                    .unwrap()
            })
            .collect();
        assert_eq!(folders, ids.iter().copied().collect());

        let again = json!({"node": "pve1", "vmid": ids[0], "memory": "64"});
        let error = node.call("qemu_create", again).await.unwrap_err();
        assert_eq!(
            error.message,
            "unable to create VM 10001 - VM 10001 already exists on node 'pve1'"
        );

        let removals = ids
            .iter()
            .map(|vmid| node.task("qemu_destroy", json!({"node": "pve1", "vmid": vmid})));
        for status in futures_util::future::join_all(removals).await {
            assert_eq!(status, "OK");
        }
        assert_eq!(
            std::fs::read_dir(node.root.join("var/lib/vz/images"))
                .unwrap()
                .count(),
            0
        );
    });
}

/// The moments, in milliseconds after a task was accepted, at which the agent is killed.
const MOMENTS_MS: [u64; 6] = [0, 3, 8, 15, 30, 60];

#[test]
fn killed_while_it_creates_the_agent_finishes_or_leaves_nothing() {
    if left_out("qemu_create killed") {
        return;
    }
    with_bridge(async {
        let node = TestNode::start(async |_| {}).await;
        for (vmid, moment_ms) in (200..).zip(MOMENTS_MS) {
            let params = json!({
                "node": "pve1", "vmid": vmid, "memory": "64", "kvm": 0,
                "scsi0": "local:1", "virtio0": "local:1,format=qcow2"
            });
            let upid = node.call("qemu_create", params).await.unwrap().data;
            tokio::time::sleep(std::time::Duration::from_millis(moment_ms)).await;
            node.kill_role("node").await;
            let status = node.ended(upid.as_str().unwrap()).await;
            let config = node
                .call("qemu_config", json!({"node": "pve1", "vmid": vmid}))
                .await;
            assert_eq!(
                status == "OK",
                config.is_ok(),
                "killed after {moment_ms} ms: {status}"
            );
            let images = node.root.join(format!("var/lib/vz/images/{vmid}"));
            let images = std::fs::read_dir(images).map_or(0, Iterator::count);
            let wanted = if status == "OK" { 2 } else { 0 };
            assert_eq!(images, wanted, "killed after {moment_ms} ms: {status}");
        }
    });
}

#[test]
fn killed_while_it_resizes_disk_and_configuration_agree() {
    if left_out("qemu_resize killed") {
        return;
    }
    with_bridge(async {
        let node = TestNode::start(async |_| {}).await;
        let params = json!({
            "node": "pve1", "vmid": 100, "memory": "64", "kvm": 0, "scsi0": "local:1,format=qcow2"
        });
        assert_eq!(node.task("qemu_create", params).await, "OK");
        for moment_ms in MOMENTS_MS {
            let more = json!({"node": "pve1", "vmid": 100, "disk": "scsi0", "size": "+1G"});
            let upid = node.call("qemu_resize", more).await.unwrap().data;
            tokio::time::sleep(std::time::Duration::from_millis(moment_ms)).await;
            node.kill_role("node").await;
            node.ended(upid.as_str().unwrap()).await;
            let guest = json!({"node": "pve1", "vmid": 100});
            let config = node.call("qemu_config", guest).await.unwrap().data;
            let shown = config["scsi0"]
                .as_str()
                .unwrap()
                .rsplit_once("size=")
                .unwrap()
                .1;
            let shown: model::ByteSize = shown.parse().unwrap();
            let list = json!({"node": "pve1", "storage": "local", "vmid": 100});
            let volumes = node.call("volume_list", list).await.unwrap().data;
            assert_eq!(
                volumes[0]["size"],
                shown.bytes(),
                "killed after {moment_ms} ms"
            );
        }
    });
}
