//! `POST /nodes/{node}/lxc/{vmid}/move_volume`

use model::{Error, FieldErrors, Privilege, StorageId, VmId};
use node::tasks::{LxcMoveVolume, LxcReassignVolume, no_mount_point};
use proto::wire::Answer;
use serde::Deserialize;

use super::Container;
use crate::ops::Op;
use crate::ops::copies::{bytes_per_s, require_space_beside, storages_of};

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Move {
    volume: String,
    target_vmid: Option<VmId>,
    target_volume: Option<String>,
    target_digest: Option<String>,
    /// In KiB/s.
    bwlimit: Option<f64>,
    storage: Option<StorageId>,
    delete: Option<bool>,
    digest: Option<String>,
}

pub(super) async fn move_volume(op: Op) -> Result<Answer, Error> {
    let vmid = Container::of(&op)?.vmid;
    let wanted: Move = op.params()?;
    let both = |text: &str| {
        let fields = ["storage", "target-vmid"].map(|name| (name.to_owned(), text.to_owned()));
        Error::invalid_fields(FieldErrors::from(fields))
    };
    match (wanted.target_vmid, wanted.storage.clone()) {
        (None, None) => Err(both(
            "both 'storage' and 'target-vmid' missing, either needs to be set",
        )),
        (Some(_), Some(_)) => Err(both("either set 'storage' or 'target-vmid', but not both")),
        (None, Some(storage)) => to_storage(op, vmid, storage, wanted).await,
        (Some(target), None) => reassign(op, vmid, target, wanted).await,
    }
}

async fn to_storage(op: Op, vmid: VmId, storage: StorageId, wanted: Move) -> Result<Answer, Error> {
    let guest = op.records.lxc(vmid).await?.record.data;
    if !guest.config.0.contains_key(&wanted.volume) {
        return Err(no_mount_point());
    }
    let storages = storages_of(
        &guest.config,
        |option| option == wanted.volume,
        Some(&storage),
    );
    let mut task = LxcMoveVolume::new(vmid, wanted.volume, storage);
    task.delete = wanted.delete == Some(true);
    task.digest = wanted.digest;
    task.bytes_per_s = bytes_per_s(&op, "move", storages, wanted.bwlimit).await?;
    op.context.submit(&op, vmid, task).await
}

/// Moves the volume to another container. The caller needs rights on both, and the right to
/// allocate on the volume's storage.
async fn reassign(op: Op, vmid: VmId, target: VmId, wanted: Move) -> Result<Answer, Error> {
    let access = op.context.authority.access();
    let view = access.view(op.identity()?, op.context.authority.now());
    view.require(&format!("/vms/{target}"), &[Privilege::VmConfigDisk])?;
    let volume = wanted.volume;
    let target_volume = wanted.target_volume.unwrap_or_else(|| volume.clone());
    let guest = op.records.lxc(vmid).await?.record.data;
    require_space_beside(&op, &guest.config, &volume)?;
    if volume == "rootfs" || target_volume == "rootfs" {
        return Err(Error::conflict("Cannot move to/from 'rootfs'"));
    }
    let none = || Error::conflict(format!("could not find CT {target}"));
    let other = op.records.find(target).await?.ok_or_else(none)?.record.data;
    if other.config.0.contains_key(&target_volume) {
        return Err(Error::conflict(format!(
            "Target volume key '{target_volume}' is already in use for container '{target}'"
        )));
    }
    if target == vmid {
        let text = "must be different than source VMID to move a volume to another container";
        return Err(Error::invalid("target-vmid", text));
    }
    op.records.lxc(target).await?;
    let id = format!("{vmid}-{volume}>{target}-{target_volume}");
    let mut task = LxcReassignVolume::new(vmid, volume, target, target_volume);
    (task.digest, task.target_digest) = (wanted.digest, wanted.target_digest);
    op.context.submit(&op, id, task).await
}
