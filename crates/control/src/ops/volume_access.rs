//! Rights on volumes.

use auth::View;
use model::{Error, Privilege, StorageId, VmId, VolumeId};
use storage::{ContentType, VolumeInfo};

use super::Op;
use super::storage::SEES;

/// Checks that the caller may see a volume. Managers of the storage see all; shared files are seen
/// by its users; a guest's disks by callers who may configure the guest's disks.
pub(crate) fn check_access(
    view: &View<'_>,
    storage: &StorageId,
    volume: &VolumeInfo,
) -> Result<(), Error> {
    let path = format!("/storage/{storage}");
    if view.is_root() || view.has(&path, Privilege::DatastoreAllocate) {
        return Ok(());
    }
    let shared = [ContentType::Iso, ContentType::Vztmpl, ContentType::Import];
    match volume.owner {
        _ if shared.contains(&volume.content) => {
            view.require_any(&path, &SEES)?;
        }
        Some(owner) if volume.content == ContentType::Backup => {
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
) -> Result<VolumeInfo, Error> {
    let storage = op.context.node.storage(volume.storage()).await?;
    let info = storage.describe_name(volume.name())?;
    let access = op.context.authority.access();
    let view = access.view(op.identity()?, op.context.authority.now());
    if info.owner != Some(guest) {
        check_access(&view, volume.storage(), &info)?;
    }
    // A layer reads from its base, and its name decides which base that is. A name that is in no
    // record therefore also needs the right to see that base.
    if let Some(base) = volume.base()
        && !is_known(op, volume).await?
    {
        check_access(&view, base.storage(), &storage.describe_name(base.name())?)?;
    }
    Ok(info)
}

/// Whether the owning guest's record has the volume under exactly this name.
async fn is_known(op: &Op, volume: &VolumeId) -> Result<bool, Error> {
    let Some(owner) = volume.owner() else {
        return Ok(false);
    };
    let guest = op.records.find(owner).await?;
    Ok(guest.is_some_and(|guest| node::volumes_of_guest(&guest.record.data).contains(volume)))
}
