//! `/nodes/{node}/disks`

mod directory_create;
mod directory_delete;
mod directory_list;
mod initgpt;
mod list;
mod lvm_create;
mod lvm_delete;
mod lvm_list;
mod lvmthin_create;
mod lvmthin_delete;
pub(super) mod lvmthin_list;
mod smart;
mod wipe;
mod zfs_create;
mod zfs_delete;
mod zfs_get;
mod zfs_list;

use model::StorageId;
use serde::Deserialize;

use crate::ops::{Pair, pair};

pub(super) const PAIRS: &[Pair] = &[
    pair!("disk_directory_create", directory_create::directory_create),
    pair!("disk_directory_delete", directory_delete::directory_delete),
    pair!("disk_directory_list", directory_list::directory_list),
    pair!("disk_initgpt", initgpt::initgpt),
    pair!("disk_list", list::list),
    pair!("disk_lvm_create", lvm_create::lvm_create),
    pair!("disk_lvm_delete", lvm_delete::lvm_delete),
    pair!("disk_lvm_list", lvm_list::lvm_list),
    pair!("disk_lvmthin_create", lvmthin_create::lvmthin_create),
    pair!("disk_lvmthin_delete", lvmthin_delete::lvmthin_delete),
    pair!("disk_lvmthin_list", lvmthin_list::lvmthin_list),
    pair!("disk_smart", smart::smart),
    pair!("disk_wipe", wipe::wipe),
    pair!("disk_zfs_create", zfs_create::zfs_create),
    pair!("disk_zfs_get", zfs_get::zfs_get),
    pair!("disk_zfs_delete", zfs_delete::zfs_delete),
    pair!("disk_zfs_list", zfs_list::zfs_list),
];

/// `sdb` of `/dev/sdb`, as tasks of disks are named.
fn last_word(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// A volume group that is made of a disk, with a thin pool or without.
#[derive(Deserialize)]
struct NewGroup {
    name: StorageId,
    device: String,
    #[serde(default)]
    add_storage: bool,
}

/// What is taken away, and what goes with it.
#[derive(Deserialize)]
struct Removal {
    name: StorageId,
    #[serde(default, rename = "cleanup-config")]
    cleanup_config: bool,
    #[serde(default, rename = "cleanup-disks")]
    cleanup_disks: bool,
}
