//! `/nodes/{node}/storage/{storage}/content`

use model::{Error, Privilege, StorageId, Upid, VolumeId};
use proto::wire::Answer;
use serde::Deserialize;
use storage::{ContentType, VolumeInfo, VolumeName};
use tasks::{TaskState, TaskSummary};

use crate::ops::Op;

/// The volume in a path: `local:iso/x.iso`, or `iso/x.iso` below its storage.
#[derive(Deserialize)]
pub(super) struct Named {
    pub(super) volume: String,
    pub(super) storage: Option<StorageId>,
}

impl Named {
    pub(super) fn of(op: &Op) -> Result<VolumeId, Error> {
        let Self { volume, storage } = op.params()?;
        let invalid = |error: model::IdError| Error::invalid("volume", error.to_string());
        if !volume.contains(':') {
            let none = || Error::invalid("volume", "no storage ID specified");
            return VolumeId::new(storage.ok_or_else(none)?, volume).map_err(invalid);
        }
        let volume: VolumeId = volume.parse().map_err(invalid)?;
        match storage {
            Some(other) if other != *volume.storage() => {
                let reason = format!("storage ID mismatch ({} != {other})", volume.storage());
                Err(Error::invalid("storage", reason))
            }
            _ => Ok(volume),
        }
    }
}

/// Finds a volume. Rights are checked by its name first, so that a caller who may not see it does
/// not learn whether it exists.
pub(super) async fn find(op: &Op, volume: &VolumeId) -> Result<VolumeInfo, Error> {
    let storage = op.context.node.storage(volume.storage()).await?;
    let found = storage.stat(volume.name()).await?;
    found.ok_or_else(|| Error::not_found(format!("volume '{volume}' does not exist")))
}

/// The properties that follow from a volume's name, whether or not it exists.
pub(super) async fn read_name(op: &Op, volume: &VolumeId) -> Result<VolumeName, Error> {
    let storage = op.context.node.storage(volume.storage()).await?;
    Ok(storage.config().parse(volume.name())?)
}

pub(super) async fn wait(op: &Op, upid: &Answer) -> Result<TaskSummary, Error> {
    let upid: Upid = upid
        .data
        .as_str()
        .and_then(|upid| upid.parse().ok())
        .ok_or_else(|| Error::bug("a task was submitted and has no UPID"))?;
    op.context.tasks.wait(&upid).await
}

pub(super) fn ended_well(task: &TaskSummary) -> Result<(), Error> {
    match &task.state {
        TaskState::Ended { .. } if task.is_ok() => Ok(()),
        TaskState::Ended { status, .. } => Err(Error::conflict(status.clone())),
        TaskState::Stuck(reason) => Err(Error::unavailable(reason.clone())),
        TaskState::Running => Err(Error::bug("a task was waited for and runs")),
    }
}

pub(super) fn check_delete(op: &Op, volume: &VolumeId, named: &VolumeName) -> Result<(), Error> {
    let access = op.context.authority.access();
    let view = access.view(op.identity()?, op.context.authority.now());
    let path = format!("/storage/{}", volume.storage());
    match named.owner {
        Some(owner) if named.content == ContentType::Backup => {
            view.require(&path, &[Privilege::DatastoreAllocateSpace])?;
            view.require(&format!("/vms/{owner}"), &[Privilege::VmBackup])?;
        }
        _ => view.require(&path, &[Privilege::DatastoreAllocate])?,
    }
    Ok(())
}
