//! Rights on volumes.

use std::collections::BTreeSet;

use auth::View;
use model::{Error, Privilege, StorageId, VmId, VolumeId};
use storage::{ContentType, VolumeName};

use super::Op;
use super::storage::SEES;

/// Checks that the caller may see a volume. Managers of the storage see all; shared files are seen
/// by its users; a guest's disks by callers who may configure the guest's disks.
pub(crate) fn check_access(
    view: &View<'_>,
    storage: &StorageId,
    content: ContentType,
    owner: Option<VmId>,
) -> Result<(), Error> {
    let path = format!("/storage/{storage}");
    if view.is_root() || view.has(&path, Privilege::DatastoreAllocate) {
        return Ok(());
    }
    let shared = [ContentType::Iso, ContentType::Vztmpl, ContentType::Import];
    match owner {
        _ if shared.contains(&content) => {
            view.require_any(&path, &SEES)?;
        }
        Some(owner) if content == ContentType::Backup => {
            view.require(&path, &[Privilege::DatastoreAllocateSpace])?;
            view.require(&format!("/vms/{owner}"), &[Privilege::VmBackup])?;
        }
        Some(owner) => {
            view.require(&path, &[Privilege::DatastoreAudit])?;
            view.require(&format!("/vms/{owner}"), &[Privilege::VmConfigDisk])?;
        }
        None => view.require(&path, &[Privilege::DatastoreAllocate])?,
    }
    Ok(())
}

/// Whether the caller may attach this volume to a guest. A guest's own volumes need no check.
pub(crate) async fn check_use(
    op: &Op,
    guest: VmId,
    volume: &VolumeId,
) -> Result<VolumeName, Error> {
    let storage = op.context.node.storage(volume.storage()).await?;
    let said = storage.config().parse(volume.name())?;
    let access = op.context.authority.access();
    let view = access.view(op.identity()?, op.context.authority.now());
    if said.owner != Some(guest) {
        check_access(&view, volume.storage(), said.content, said.owner)?;
    }
    // A linked clone shows its base where it holds nothing, and its name decides which base that
    // is. A name that no record has is only for a caller who may see that base.
    if let Some(base) = &said.base
        && !is_known(op, volume, said.owner).await?
    {
        let base = storage.config().parse(base)?;
        check_access(&view, volume.storage(), base.content, base.owner)?;
    }
    Ok(said)
}

/// Whether the owning guest's record has the volume under exactly this name.
async fn is_known(op: &Op, volume: &VolumeId, owner: Option<VmId>) -> Result<bool, Error> {
    let Some(owner) = owner else {
        return Ok(false);
    };
    let guest = op.records.find(owner).await?;
    Ok(guest.is_some_and(|guest| node::volumes_of_guest(&guest.record.data).contains(volume)))
}

/// Refuses a caller without the right to allocate on each of these storages.
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
