//! A guest whose disk is a unit of a target of iSCSI.

use std::process::Command;

use crate::harness::namespace::with_bridge;
use crate::harness::{TestNode, about, left_out, tiny_disk};
use serde_json::json;
use testkit::tgt::{TARGET, Tgt};

#[test]
fn a_guest_has_a_unit_as_its_disk() {
    with_bridge(async {
        if left_out("iscsidirect") {
            return;
        }
        let Some(disk) = tiny_disk() else {
            return;
        };
        let folder = tempfile::tempdir().unwrap();
        let unit = folder.path().join("unit");
        let made = Command::new("qemu-img")
            .args(["convert", "-O", "raw"])
            .args([&disk, &unit])
            .status();
        assert!(made.unwrap().success());
        let Some(server) = Tgt::start("iscsidirect", std::slice::from_ref(&unit)) else {
            return;
        };
        let node = TestNode::with_tiny(&disk).await;
        let storage = json!({"storage": "units", "type": "iscsidirect",
            "portal": server.portal(), "target": TARGET});
        node.call("storage_create", storage).await.unwrap();
        let made = json!({"memory": "128", "kvm": 0, "serial0": "socket", "boot": "order=virtio0",
            "virtio0": "units:lun1"});
        node.done("qemu_create", 300, made).await;
        let mut serial = node.boot(300).await;
        serial.ask("mkdir -p /mnt; mount -t vfat /dev/vda /mnt; echo unit > /mnt/note; sync");
        // A copy of what runs.
        let copy = json!({"newid": 301, "full": 1, "storage": "local"});
        node.done("qemu_clone", 300, copy).await;
        node.done("qemu_stop", 300, json!({})).await;
        let refused = node.task(
            "qemu_resize",
            about(300, json!({"disk": "virtio0", "size": "+1M"})),
        );
        assert_eq!(
            refused.await,
            "volume resize is not possible on iscsi device"
        );
        let mut serial = node.boot(301).await;
        serial.ask("mkdir -p /mnt; mount -t vfat /dev/vda /mnt");
        assert!(serial.ask("cat /mnt/note").contains("unit"));
        // A unit belongs to no guest, so it stays when one goes.
        node.done("qemu_destroy", 300, json!({})).await;
        let rows = json!({"node": "pve1", "storage": "units"});
        let rows = node.call("volume_list", rows).await.unwrap().data;
        assert_eq!(rows[0]["volid"], "units:lun1");
    });
}
