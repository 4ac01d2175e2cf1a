//! What a migration to another member would meet.

use serde_json::{Value, json};

use crate::net::{Net, until};

/// covers: S3.84
#[tokio::test]
async fn a_member_without_the_guests_storage_is_no_target() {
    let (_net, one, _two) = Net::two().await;
    one.bench.add_local().await;
    let root = one.bench.root();
    let storage = json!({"storage": "here", "type": "dir", "path": "/here", "nodes": "pve1"});
    root.ok("storage_create", storage).await;
    let create = json!({
        "node": "pve1", "vmid": 100, "kvm": 0, "memory": 64,
        "scsi0": "local:1", "serial0": "socket",
    });
    root.ok("qemu_create", create).await;
    let guest = json!({"node": "pve1", "vmid": 100});
    let precheck = async || {
        let found = root.ask("qemu_migrate_precondition", guest.clone()).await;
        found.map(|found| found.data)
    };
    until("the guest is made", async || {
        precheck()
            .await
            .is_ok_and(|found| found["local_disks"] != json!([]))
    })
    .await;
    let found = precheck().await.unwrap();
    assert_eq!(found["running"], 0);
    assert_eq!(found["local_resources"], json!([]));
    assert_eq!(found["allowed_nodes"], json!(["pve2"]));
    let disk: &Value = &found["local_disks"][0];
    assert_eq!(disk["volid"], "local:100/vm-100-disk-0.raw");
    assert_eq!(disk["size"], 1_u64 << 30);

    let more = json!({"node": "pve1", "vmid": 100, "scsi1": "here:1"});
    root.ok("qemu_configure", more).await;
    until("the other disk is made", async || {
        precheck()
            .await
            .is_ok_and(|found| found["allowed_nodes"] == json!([]))
    })
    .await;
    let found = precheck().await.unwrap();
    let why = json!({"pve2": {"unavailable_storages": ["here"]}});
    assert_eq!(found["not_allowed_nodes"], why);
}
