//! A storage of thin volumes on a fake host.

use std::path::Path;

use model::Record;
use node::storage_key;
use storage::{ContentType, LvmThinSpec, StorageConfig, StorageSpec};
use store::Commit;
use sys::Files;
use testkit::{LVM_PROGRAMS, lvm};

use super::Node;

/// A node with the storage `thin`.
pub async fn with_storage<T>(mut node: Node<T>) -> Node<T> {
    for program in LVM_PROGRAMS {
        node.host = node.host.program(program, lvm);
    }
    for folder in ["/lvm/pve", "/dev/pve"] {
        node.host
            .create_dir(Path::new(folder), 0o755)
            .await
            .unwrap();
    }
    let pool = Path::new("/lvm/pve/data");
    node.host.write(pool, b"twi-aotz-- ", 0o600).await.unwrap();
    let spec = StorageSpec::LvmThin(LvmThinSpec {
        vgname: "pve".to_owned(),
        thinpool: "data".to_owned(),
        encrypted: None,
    });
    let id = "thin".parse().unwrap();
    let config = StorageConfig::new(id, spec, vec![ContentType::Images, ContentType::Rootdir]);
    let commit = Commit::new().put(
        storage_key(config.id()),
        Record::new(config).encode().unwrap(),
    );
    node.plain.commit(commit).await.unwrap();
    node
}

/// A volume that is there, and not active.
pub async fn put_volume<T>(node: &Node<T>, name: &str) {
    let volume = Path::new("/lvm/pve").join(name);
    let written = node.host.write(&volume, b"Vwi---tz-- data", 0o600).await;
    written.unwrap();
}
