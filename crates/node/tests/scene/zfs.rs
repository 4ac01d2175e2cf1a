//! A storage in a dataset of ZFS on a fake host.

use std::path::Path;

use model::Record;
use node::{Settings, storage_key};
use storage::{ContentType, StorageConfig, StorageSpec, ZfsPoolSpec};
use store::Commit;
use sys::Files;
use testkit::{zfs, zvol_id};

use super::Node;

/// A node with the storage `tank`.
pub async fn with_storage<T>(mut node: Node<T>) -> Node<T> {
    node.host = node
        .host
        .program("zfs", zfs)
        .program("/lib/udev/zvol_id", zvol_id);
    node.host.change_files(|disk| {
        disk.file("/proc/mounts", "tank/g /tank/g zfs rw 0 0\n");
        disk.file("/zfs/tank:g", "filesystem 0 -");
        disk.folder("/dev/zvol/tank/g".as_ref());
    });
    let spec = StorageSpec::ZfsPool(ZfsPoolSpec {
        pool: "tank/g".to_owned(),
        ..ZfsPoolSpec::default()
    });
    let contents = vec![ContentType::Images, ContentType::Rootdir];
    let config = StorageConfig::new("tank".parse().unwrap(), spec, contents);
    let commit = Commit::new().put(
        storage_key(config.id()),
        Record::new(config).encode().unwrap(),
    );
    node.plain.commit(commit).await.unwrap();
    node
}

/// A volume or file system as the fake keeps it: its kind, size and origin, and properties.
pub fn put_dataset<T>(node: &Node<T>, name: &str, content: &str) {
    node.host.change_files(|disk| {
        disk.file(&format!("/zfs/tank:g:{name}"), content);
        if content.starts_with("volume") {
            disk.file(&format!("/dev/zvol/tank/g/{name}"), "device");
        }
    });
}

/// What was set on a dataset, in the order of names.
pub async fn set_on<T>(node: &Node<T>, name: &str) -> Vec<String> {
    let file = format!("/zfs/tank:g:{name}");
    let content = node.host.read(Path::new(&file)).await.unwrap();
    let content = String::from_utf8(content).unwrap();
    let mut set: Vec<String> = content.lines().skip(1).map(str::to_owned).collect();
    set.sort();
    set
}

/// Adds or replaces a tier.
pub async fn put_tier<T>(node: &Node<T>, id: &str, options: &[(&str, &str)]) {
    let mut settings = Settings::default();
    for (name, value) in options {
        settings.options.insert((*name).into(), (*value).into());
    }
    let value = Record::new(settings).encode().unwrap();
    let key = node::tiers::tier_key(id).unwrap();
    let commit = Commit::new().put(key, value);
    node.plain.commit(commit).await.unwrap();
}
