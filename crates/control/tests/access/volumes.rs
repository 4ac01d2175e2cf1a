//! The volumes that a caller may attach to a guest.

use model::{BlockFormat, ErrorKind};
use serde_json::{Value, json};

use super::bench::{Bench, JANE};

/// Jane has all rights on guest 100, and may use the storage.
async fn bench() -> Bench {
    let bench = Bench::with_jane().await;
    bench.add_guest(100, "hers").await;
    bench.add_guest(200, "somebody else's").await;
    let root = bench.root();
    let storage = json!({"storage": "s1", "type": "dir", "path": "/srv/s1"});
    root.ok("storage_create", storage).await;
    for (path, role) in [
        ("/vms/100", "PVEVMAdmin"),
        ("/storage/s1", "PVEDatastoreUser"),
    ] {
        let grant = json!({"path": path, "users": JANE, "roles": role});
        root.ok("acl_update", grant).await;
    }
    bench
}

fn change(option: &str, value: &str) -> Value {
    let mut change = json!({"node": "pve1", "vmid": 100});
    change[option] = value.into();
    change
}

// covers: S3.79
#[tokio::test]
async fn a_guest_gets_only_volumes_that_its_owner_may_use() {
    let bench = bench().await;
    let jane = bench.jane().await;
    for (option, value) in [
        ("scsi1", "s1:200/vm-200-disk-0.raw"),
        ("unused0", "s1:200/vm-200-disk-0.raw"),
        ("scsi1", "s1:0,import-from=s1:200/vm-200-disk-0.raw"),
        // A layer reads from its base, so a disk of her guest under this name would show another
        // guest's.
        (
            "scsi1",
            "s1:200/base-200-disk-0.raw/100/vm-100-disk-0.qcow2",
        ),
        (
            "unused0",
            "s1:200/base-200-disk-0.raw/100/vm-100-disk-0.qcow2",
        ),
        (
            "scsi1",
            "s1:0,import-from=s1:200/base-200-disk-0.raw/100/vm-100-disk-0.qcow2",
        ),
        ("scsi1", "/dev/sda"),
        ("scsi1", "s1:0,import-from=/etc/shadow"),
        ("ide2", "cdrom"),
    ] {
        let refused = jane.error("qemu_configure", change(option, value)).await;
        assert_eq!(
            refused.kind,
            ErrorKind::Forbidden,
            "{option}={value}: {refused}"
        );
    }
    for value in [
        "s1:snippets/x.yaml",
        "s1:backup/vzdump-qemu-100-x.vma",
        "s1:import/x.qcow2",
    ] {
        let refused = bench
            .root()
            .error("qemu_configure", change("scsi1", value))
            .await;
        assert!(refused.fields.contains_key("scsi1"), "{value}: {refused}");
    }
    let node = &bench.context.node;
    let s1 = node.storage(&"s1".parse().unwrap()).await.unwrap();
    s1.allocate("100/vm-100-disk-0.raw", BlockFormat::Raw, 1 << 20)
        .await
        .unwrap();
    let medium = s1.path("iso/debian.iso").unwrap();
    node.host
        .create_dir(medium.parent().unwrap(), 0o755)
        .await
        .unwrap();
    node.host.write(&medium, b"a medium", 0o644).await.unwrap();
    for (option, value) in [
        ("scsi1", "s1:100/vm-100-disk-0.raw"),
        ("ide2", "s1:iso/debian.iso,media=cdrom"),
    ] {
        jane.ok("qemu_configure", change(option, value)).await;
    }
}
