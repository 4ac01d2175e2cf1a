//! `/nodes/{node}/qemu/{vmid}/{clone,feature,move_disk,template}`

use std::collections::BTreeSet;

use model::qemu::{Drive, DriveSlot};
use model::{
    BlockFormat, Error, GuestConfig, NodeName, PoolId, Privilege, StorageId, VmId,
};
use node::tasks::{
    QemuClone, QemuMoveDisk, QemuReassignDisk, QemuTemplate, already_exists, snapshot_of,
};
use node::volumes_of;
use proto::wire::Answer;
use serde::Deserialize;
use serde_json::json;

use super::Guest;
use crate::ops::Op;

#[derive(Deserialize)]
struct Clone {
    newid: VmId,
    /// In KiB/s.
    bwlimit: Option<u64>,
    description: Option<String>,
    format: Option<BlockFormat>,
    full: Option<bool>,
    name: Option<String>,
    pool: Option<PoolId>,
    snapname: Option<String>,
    storage: Option<StorageId>,
    target: Option<NodeName>,
}

pub(super) async fn clone(op: Op) -> Result<Answer, Error> {
    let vmid = Guest::of(&op)?.vmid;
    let wanted: Clone = op.params()?;
    if let Some(target) = &wanted.target {
        op.context.check_node(target)?;
    }
    let source = op.context.node.records.qemu(vmid).await?.record.data;
    let is_template = source.config.flag("template") == Some(true);
    let full = wanted.full.unwrap_or(!is_template);
    check_linked(&wanted, is_template, full)?;
    if let Some(taken) = op.context.node.records.find(wanted.newid).await? {
        return Err(already_exists(wanted.newid, &taken.record.data));
    }
    let config = match &wanted.snapname {
        Some(name) => &snapshot_of(&source, name)?.config,
        None => &source.config,
    };
    if wanted.storage.is_none() {
        check_space(&op, config)?;
    }
    if let Some(pool) = &wanted.pool
        && op.context.authority.access().pool(pool).is_none()
    {
        return Err(Error::not_found(format!("pool '{pool}' does not exist")));
    }
    let mut task = QemuClone::new(vmid, wanted.newid);
    task.name = wanted.name;
    task.description = wanted.description;
    task.pool = wanted.pool;
    task.full = full;
    task.storage = wanted.storage;
    task.format = wanted.format;
    task.snapshot = wanted.snapname;
    task.bytes_per_s = bytes_per_s(&op, "clone", wanted.bwlimit).await?;
    op.context.submit(&op, vmid, task).await
}

/// What only a full clone can be given, and who can only be cloned in full.
fn check_linked(wanted: &Clone, is_template: bool, full: bool) -> Result<(), Error> {
    if full {
        return Ok(());
    }
    if wanted.storage.is_some() {
        let text = "parameter 'storage' not allowed for linked clones";
        return Err(Error::invalid("storage", text));
    }
    if wanted.format.is_some() {
        let text = "parameter 'format' not allowed for linked clones";
        return Err(Error::invalid("format", text));
    }
    if !is_template || wanted.snapname.is_some() {
        let text = "Linked clone feature is not available: only templates have linked clones";
        return Err(Error::conflict(text));
    }
    Ok(())
}

/// Without a storage of its own a copy takes space beside its original.
fn check_space(op: &Op, config: &GuestConfig) -> Result<(), Error> {
    let copied = volumes_of(config)
        .into_iter()
        .filter(|(option, _)| is_copied(option, config));
    require_space(op, copied.map(|(_, volume)| volume.storage().clone()))
}

/// Refuses who may not allocate on each of these storages.
pub(super) fn require_space(
    op: &Op,
    storages: impl Iterator<Item = StorageId>,
) -> Result<(), Error> {
    let access = op.context.authority.access();
    let view = access.view(op.identity()?, op.context.authority.now());
    for storage in storages.collect::<BTreeSet<_>>() {
        let path = format!("/storage/{storage}");
        view.require(&path, &[Privilege::DatastoreAllocateSpace])?;
    }
    Ok(())
}

/// Refuses who may not allocate on the storage where a disk is.
pub(super) fn require_space_beside(op: &Op, config: &GuestConfig, disk: &str) -> Result<(), Error> {
    let named = volumes_of(config).into_iter();
    let named = named.filter(|(option, _)| *option == disk);
    require_space(op, named.map(|(_, volume)| volume.storage().clone()))
}

/// Unused volumes and media that many share are not copied.
fn is_copied(option: &str, config: &GuestConfig) -> bool {
    let Ok(slot) = option.parse::<DriveSlot>() else {
        return false;
    };
    let text = config.text(option).unwrap_or_default();
    let drive = Drive::parse(slot.bus(), &text);
    drive.is_ok_and(|drive| !drive.is_cdrom() || drive.is_cloud_init())
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Move {
    disk: String,
    target_vmid: Option<VmId>,
    target_disk: Option<String>,
    target_digest: Option<String>,
    /// In KiB/s.
    bwlimit: Option<u64>,
    storage: Option<StorageId>,
    format: Option<BlockFormat>,
    delete: Option<bool>,
    digest: Option<String>,
}

pub(super) async fn move_disk(op: Op) -> Result<Answer, Error> {
    let vmid = Guest::of(&op)?.vmid;
    let wanted: Move = op.params()?;
    if let Some(target) = wanted.target_vmid {
        return reassign(op, vmid, target, wanted).await;
    }
    let guest = op.context.node.records.qemu(vmid).await?.record.data;
    if wanted.storage.is_none() {
        require_space_beside(&op, &guest.config, &wanted.disk)?;
    }
    let mut task = QemuMoveDisk::new(vmid, wanted.disk);
    task.storage = wanted.storage;
    task.format = wanted.format;
    task.delete = wanted.delete == Some(true);
    task.digest = wanted.digest;
    task.bytes_per_s = bytes_per_s(&op, "move", wanted.bwlimit).await?;
    task.check(&op.context.node, &guest).await?;
    op.context.submit(&op, vmid, task).await
}

/// Gives the disk to another guest. The caller may change both, and allocate where the disk is.
async fn reassign(op: Op, vmid: VmId, target: VmId, wanted: Move) -> Result<Answer, Error> {
    if wanted.storage.is_some() {
        let text = "either set storage or target-vmid, but not both";
        return Err(Error::invalid("target-vmid", text));
    }
    if vmid == target {
        let text = "must be different than source VMID to reassign disk";
        return Err(Error::invalid("target-vmid", text));
    }
    let access = op.context.authority.access();
    let view = access.view(op.identity()?, op.context.authority.now());
    view.require(&format!("/vms/{target}"), &[Privilege::VmConfigDisk])?;
    let guest = op.context.node.records.qemu(vmid).await?.record.data;
    op.context.node.records.qemu(target).await?;
    require_space_beside(&op, &guest.config, &wanted.disk)?;
    let target_disk = wanted.target_disk.unwrap_or_else(|| wanted.disk.clone());
    let id = format!("{vmid}-{}>{target}-{target_disk}", wanted.disk);
    let mut task = QemuReassignDisk::new(vmid, wanted.disk, target, target_disk);
    (task.digest, task.target_digest) = (wanted.digest, wanted.target_digest);
    op.context.submit(&op, id, task).await
}

/// How fast disks are copied: as was asked for in KiB/s, or as the cluster's options say. Who may
/// not change those is not faster than they say. 0 for as fast as it goes.
async fn bytes_per_s(op: &Op, operation: &str, asked_kib: Option<u64>) -> Result<u64, Error> {
    let options = op.context.node.records.cluster_options().await?;
    let limit = options
        .bandwidth(operation)
        .map(|limit| limit.ceil() as u64);
    let is_free = match asked_kib {
        Some(_) => op.has("/", Privilege::SysModify).await?,
        None => false,
    };
    let limits = [asked_kib, limit.filter(|_| !is_free)];
    let limit_kib = limits
        .into_iter()
        .flatten()
        .filter(|limit| *limit > 0)
        .min();
    Ok(limit_kib.unwrap_or(0).saturating_mul(1024))
}

#[derive(Deserialize)]
struct Template {
    disk: Option<DriveSlot>,
}

pub(super) async fn template(op: Op) -> Result<Answer, Error> {
    let vmid = Guest::of(&op)?.vmid;
    let Template { disk } = op.params()?;
    let guest = op.context.node.records.qemu(vmid).await?.record.data;
    let task = QemuTemplate::new(vmid, disk);
    task.check(&op.context.node, &guest).await?;
    op.context.submit(&op, vmid, task).await
}

#[derive(Deserialize)]
struct Feature {
    feature: String,
    snapname: Option<String>,
}

pub(super) async fn feature(op: Op) -> Result<Answer, Error> {
    let vmid = Guest::of(&op)?.vmid;
    let Feature { feature, snapname } = op.params()?;
    let guest = op.context.node.records.qemu(vmid).await?.record.data;
    let config = match &snapname {
        Some(name) => &snapshot_of(&guest, name)?.config,
        None => &guest.config,
    };
    let disks = volumes_of(config)
        .into_iter()
        .filter(|(option, _)| is_copied(option, config));
    let mut has_feature = true;
    for (option, volume) in disks {
        let text = config.text(&option).unwrap_or_default();
        let slot: DriveSlot = option
            .parse()
            .map_err(|_| Error::bug("a drive has no slot"))?;
        if Drive::parse(slot.bus(), &text).is_ok_and(|drive| drive.is_cloud_init()) {
            continue;
        }
        let storage = op.context.node.storage(volume.storage()).await?;
        let name = volume.name();
        has_feature &= match feature.as_str() {
            "snapshot" => storage.snapshots().is_some_and(|s| s.can_snapshot(name)),
            "clone" => snapname.is_none() && storage.bases().is_some_and(|b| b.is_base(name)),
            _ => true,
        };
    }
    Ok(Answer::new(json!({
        "hasFeature": u8::from(has_feature),
        "nodes": [op.context.node.name],
    })))
}
