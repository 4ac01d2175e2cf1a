//! `POST /nodes/{node}/qemu/{vmid}/move_disk`

use model::{BlockFormat, Error, Privilege, StorageId, VmId};
use node::tasks::{QemuMoveDisk, QemuReassignDisk};
use proto::wire::Answer;
use serde::Deserialize;

use super::Guest;
use crate::ops::Op;
use crate::ops::copies::{bytes_per_s, require_space_beside, storages_of};

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Move {
    disk: String,
    target_vmid: Option<VmId>,
    target_disk: Option<String>,
    target_digest: Option<String>,
    /// In KiB/s.
    bwlimit: Option<f64>,
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
    let guest = op.records.qemu(vmid).await?.record.data;
    if wanted.storage.is_none() {
        require_space_beside(&op, &guest.config, &wanted.disk)?;
    }
    let mut task = QemuMoveDisk::new(vmid, wanted.disk);
    task.storage = wanted.storage;
    task.format = wanted.format;
    task.delete = wanted.delete == Some(true);
    task.digest = wanted.digest;
    let storages = storages_of(
        &guest.config,
        |option| option == task.disk,
        task.storage.as_ref(),
    );
    task.bytes_per_s = bytes_per_s(&op, "move", storages, wanted.bwlimit).await?;
    task.check(&op.context.node, &guest).await?;
    op.context.submit(&op, vmid, task).await
}

/// Moves the disk to another guest. The caller needs rights on both guests, and the right to
/// allocate on the disk's storage.
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
    let guest = op.records.qemu(vmid).await?.record.data;
    op.records.qemu(target).await?;
    require_space_beside(&op, &guest.config, &wanted.disk)?;
    let target_disk = wanted.target_disk.unwrap_or_else(|| wanted.disk.clone());
    let id = format!("{vmid}-{}>{target}-{target_disk}", wanted.disk);
    let mut task = QemuReassignDisk::new(vmid, wanted.disk, target, target_disk);
    (task.digest, task.target_digest) = (wanted.digest, wanted.target_digest);
    op.context.submit(&op, id, task).await
}
