//! A volume group on a unit of a target of iSCSI, which the storage makes itself.

use std::process::Command;

use crate::harness::TestNode;
use serde_json::{Value, json};

async fn create(node: &TestNode, storage: &str, base: &str, vgname: &str) -> Result<(), String> {
    let asked = json!({"storage": storage, "type": "lvm", "vgname": vgname, "base": base,
        "shared": 1, "saferemove": 1});
    let made = node.call("storage_create", asked).await;
    made.map(drop).map_err(|mut error| {
        let said = error.fields.remove("base");
        said.unwrap_or(error.message)
    })
}

fn groups() -> String {
    let listed = Command::new("pvs")
        .args(["--noheadings", "-o", "vg_name"])
        .output()
        .unwrap();
    let text = String::from_utf8(listed.stdout).unwrap();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// `OSTLER_ISCSI=portal/target`, with two units.
// covers: S1.10
#[tokio::test]
#[ignore = "needs the lab: ./x lab test"]
async fn a_group_is_made_on_a_unit_that_is_empty() {
    let named = std::env::var("OSTLER_ISCSI").expect("the lab gives a target");
    let (portal, target) = named.split_once('/').unwrap();
    let node = TestNode::start(async |_| ()).await;
    let units = json!({"storage": "units", "type": "iscsi", "portal": portal, "target": target,
        "content": "none"});
    node.call("storage_create", units).await.unwrap();
    let rows = json!({"node": "pve1", "storage": "units"});
    let rows = node.call("volume_list", rows).await.unwrap().data;
    let volume = |at: usize| rows[at]["volid"].as_str().unwrap().to_owned();

    create(&node, "san", &volume(0), "san").await.unwrap();
    assert_eq!(groups(), "san");
    let again = create(&node, "same", &volume(0), "san").await;
    assert_eq!(again, Ok(()), "it is there already");
    for (base, vgname, says) in [
        (volume(0), "other", "is already used by volume group 'san'"),
        (
            volume(1),
            "san",
            "volume group 'san' exists, on another device",
        ),
        (
            "local:iso/x.iso".to_owned(),
            "xx",
            "is on a storage of type 'dir', not iscsi",
        ),
    ] {
        let refused = create(&node, "bad", &base, vgname).await.unwrap_err();
        assert!(refused.contains(says), "{refused}");
    }
    let device = format!(
        "/dev/disk/by-id/{}",
        volume(1).splitn(4, '.').last().unwrap()
    );
    let made = Command::new("mkfs.ext4").args(["-q", &device]).status();
    assert!(made.unwrap().success());
    let taken = create(&node, "bad", &volume(1), "xx").await.unwrap_err();
    assert!(taken.contains("is not empty: it has ext4"), "{taken}");
    assert_eq!(groups(), "san");

    let asked = json!({"node": "pve1", "storage": "san", "vmid": 100, "size": "8M",
        "filename": "vm-100-disk-0"});
    let made: Value = node.call("volume_create", asked).await.unwrap().data;
    assert_eq!(made, "san:vm-100-disk-0");
    let kept = node
        .call("storage_delete", json!({"storage": "units"}))
        .await;
    let kept = kept.unwrap_err().message;
    assert!(kept.contains("it is the base of storage 'sa"), "{kept}");
    let gone = json!({"node": "pve1", "storage": "san", "volume": "san:vm-100-disk-0"});
    assert_eq!(node.task("volume_delete", gone).await, "OK");
    let left = Command::new("lvs").arg("--noheadings").output().unwrap();
    assert!(left.stdout.is_empty(), "{left:?}");
}
