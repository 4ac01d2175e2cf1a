//! Storages that a node exports to the others: what is shown of them, who may, and what is refused.

use model::{ErrorKind, Record};
use node::storage_key;
use serde_json::json;
use storage::StorageConfig;
use store::{Commit, Read};

use super::bench::Bench;

async fn with_export() -> Bench {
    let bench = Bench::with_jane().await;
    bench.add_local().await;
    let config = json!({"id": "vms", "type": "nfs", "content": ["images"], "server": "10.0.0.5",
        "export": "/srv/ostler/vms", "exporter": {"node": "pve1", "origin": "tank",
        "dataset": "tank/vms", "mount_point": "/srv/ostler/vms", "fsid": "1-2",
        "networks": ["10.1.0.0/24"]}});
    let config: StorageConfig = serde_json::from_value(config).unwrap();
    let record = Record::new(config.clone()).encode().unwrap();
    let commit = Commit::new().put(storage_key(config.id()), record);
    bench.context.store.commit(commit).await.unwrap();
    bench
}

/// covers: S1.9
#[tokio::test]
async fn an_export_is_shown_and_stays_one_when_its_storage_changes() {
    let bench = with_export().await;
    let root = bench.root();
    let rows = root.ok("export_list", json!({"node": "pve1"})).await;
    let expected = json!([{"storage": "vms", "origin": "tank", "server": "10.0.0.5",
        "path": "/srv/ostler/vms", "dataset": "tank/vms", "clients": ["10.1.0.0/24"]}]);
    assert_eq!(rows, expected);
    let change = json!({"storage": "vms", "content": "images,iso", "nodes": "pve2"});
    root.ok("storage_update", change).await;
    let shown = root.ok("storage_get", json!({"storage": "vms"})).await;
    assert_eq!(shown["exporter"], "pve1");
    assert_eq!(shown["content"], "images,iso");
    let key = storage_key(&"vms".parse().unwrap());
    let (entry, _) = bench.context.store.get(&key, Read::Linear).await.unwrap();
    let record = Record::<StorageConfig>::decode(&entry.unwrap().value).unwrap();
    assert_eq!(record.data.spec.exporter().unwrap().fsid, "1-2");
}

/// covers: S1.9
#[tokio::test]
async fn an_export_is_taken_back_by_its_own_operation_alone() {
    let bench = with_export().await;
    let root = bench.root();
    let refused = root
        .error("storage_delete", json!({"storage": "vms"}))
        .await;
    assert_eq!(
        refused.message,
        "delete storage failed: can't remove storage - node 'pve1' exports it: ostler storage \
         unexport vms"
    );
    let local = json!({"node": "pve1", "storage": "local"});
    let refused = root.error("export_delete", local).await;
    assert_eq!(refused.message, "storage 'local' is no export of a node");
    let forged = json!({"storage": "x", "type": "nfs", "server": "10.0.0.9", "export": "/x",
        "exporter": "pve1"});
    let refused = root.error("storage_create", forged).await;
    assert_eq!(refused.kind, ErrorKind::Invalid);
}

/// covers: S1.9
#[tokio::test]
async fn an_export_that_cannot_be_says_which_field_is_wrong() {
    let bench = with_export().await;
    let root = bench.root();
    for (network, reason) in [
        (
            "10.0.0.1.2/24",
            "'10.0.0.1.2/24' is no network as 10.0.0.0/24",
        ),
        ("::/0", "'::/0' is everybody"),
    ] {
        let wanted = json!({"node": "pve1", "storage": "local", "network": network});
        let refused = root.error("export_create", wanted).await;
        assert_eq!(refused.kind, ErrorKind::Invalid);
        assert!(format!("{refused:?}").contains(reason), "{refused:?}");
    }
    let gone = json!({"node": "pve1", "storage": "gone"});
    let refused = root.error("export_create", gone.clone()).await;
    assert_eq!(refused.kind, ErrorKind::NotFound);
    let local = json!({"node": "pve1", "storage": "local"});
    let refused = root.error("export_create", local.clone()).await;
    assert_eq!(
        refused.message,
        "package nfs-kernel-server is not installed on this node"
    );
    let jane = bench.jane().await;
    for op in ["export_create", "export_delete"] {
        assert_eq!(
            jane.error(op, local.clone()).await.kind,
            ErrorKind::Forbidden
        );
    }
}
