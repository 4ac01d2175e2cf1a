//! Removes a volume.
//!
//! ```text
//!   set-aside ┃ remove
//!             ┃ point of no return: the volume has lost its name, its space is given back
//! ```
//!
//! Whatever forbids the removal — a guest that uses it, a disk that is read-only — shows when it
//! is set aside, and then nothing has happened.

use std::path::PathBuf;

use async_trait::async_trait;
use model::{Error, GuestConfig, GuestRecord, PendingChange, VmId, VolumeId};
use serde::{Deserialize, Serialize};
use tasks::{Probe, Step, Steps, Task, TaskContext};

use super::guest_object;
use crate::{NodeContext, volumes, volumes_of, volumes_of_guest};

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct VolumeDelete {
    pub volume: VolumeId,
    /// The guest whose disk image it is.
    pub owner: Option<VmId>,
    /// Where the volume is, and where it lies until it is removed.
    #[serde(default)]
    paths: Option<(PathBuf, PathBuf)>,
}

impl VolumeDelete {
    pub fn new(volume: VolumeId, owner: Option<VmId>) -> Self {
        Self {
            volume,
            owner,
            paths: None,
        }
    }
}

impl Task for VolumeDelete {
    type Node = NodeContext;
    const NAME: &'static str = "volume_delete";
    const VERSION: u32 = 1;
    const KIND: &'static str = "imgdel";
    const ON_FULL_DISK: bool = true;

    fn steps() -> Steps<Self> {
        Steps {
            before: &[&SetAside],
            after: &[&Remove],
        }
    }

    fn object(&self) -> Option<String> {
        Some(match self.owner {
            Some(owner) => guest_object(owner),
            None => format!("volume/{}", self.volume),
        })
    }
}

impl NodeContext {
    /// Refuses a disk image that a guest names, in its configuration, in what is pending or in a
    /// snapshot, and one that others are layers on. Files that people bring may be removed while a
    /// guest names them, as in Proxmox VE.
    pub async fn check_unused(&self, volume: &VolumeId, owner: Option<VmId>) -> Result<(), Error> {
        if owner.is_none() {
            return Ok(());
        }
        for guest in self.records.guests().await? {
            let guest = &guest?;
            let pending = guest
                .pending
                .iter()
                .filter_map(|(name, change)| match change {
                    PendingChange::Set(value) => Some((name.clone(), value.clone())),
                    PendingChange::Delete { .. } => None,
                });
            let pending = GuestConfig(pending.collect());
            let named = volumes_of(&guest.config)
                .into_iter()
                .chain(volumes_of(&pending));
            if let Some((option, _)) = named
                .into_iter()
                .find(|(_, named)| named.is_same_image(volume))
            {
                let vmid = guest.vmid;
                return Err(Error::conflict(format!(
                    "can't remove volume '{volume}' - it is used by VM {vmid} ({option})"
                )));
            }
            check_unused_by(guest, volume)?;
        }
        Ok(())
    }
}

/// Removes a volume that its guest has no use for any more; one that somebody else has a use for
/// stays, with a word in the log.
pub(super) async fn free_unwanted(
    cx: &TaskContext<NodeContext>,
    volume: &VolumeId,
) -> Result<(), Error> {
    for guest in cx.node.records.guests().await? {
        if let Err(why) = check_unused_by(&guest?, volume) {
            cx.warn(&format!("{why}; it stays")).await;
            return Ok(());
        }
    }
    let storage = cx.node.storage(volume.storage()).await?;
    if storage.free(volume.name()).await? {
        cx.log(&format!("removed volume '{volume}'")).await;
    }
    Ok(())
}

impl NodeContext {
    /// Refuses to remove or to change volumes that others are layers on.
    pub(super) async fn check_no_layers(&self, volumes: &[VolumeId]) -> Result<(), Error> {
        if volumes.is_empty() {
            return Ok(());
        }
        for guest in self.records.guests().await? {
            let guest = guest?;
            for volume in volumes {
                check_no_layers(&guest, volume)?;
            }
        }
        Ok(())
    }
}

/// Refuses a volume that a guest has saved something in, or has layers on.
fn check_unused_by(guest: &GuestRecord, volume: &VolumeId) -> Result<(), Error> {
    let used = volumes_of_guest(guest);
    if used.iter().any(|used| used.is_same_image(volume)) {
        let vmid = guest.vmid;
        let text = format!("can't remove volume '{volume}' - a snapshot of VM {vmid} uses it");
        return Err(Error::conflict(text));
    }
    check_no_layers(guest, volume)
}

/// Refuses a volume that a guest has layers on.
pub(super) fn check_no_layers(guest: &GuestRecord, volume: &VolumeId) -> Result<(), Error> {
    let used = volumes_of_guest(guest);
    if used.iter().any(|used| used.is_layer_on(volume)) {
        let text = format!("base volume '{volume}' is still in use by linked cloned");
        return Err(Error::conflict(text));
    }
    Ok(())
}

type Cx = TaskContext<NodeContext>;

struct SetAside;

#[async_trait]
impl Step<VolumeDelete> for SetAside {
    fn name(&self) -> &'static str {
        "set-aside"
    }

    async fn plan(&self, cx: &Cx, task: &mut VolumeDelete) -> Result<(), Error> {
        let volume = &task.volume;
        cx.node.check_unused(volume, task.owner).await?;
        let storage = cx.node.storage(volume.storage()).await?;
        volumes::info_of(&*storage, volume).await?;
        let files = storage
            .files()
            .ok_or_else(|| Error::bug(format!("storage '{}' has no folders", volume.storage())))?;
        let file_name = cx.job_id("removed");
        let paths = (files.path(volume.name())?, files.uploads().join(file_name));
        task.paths = Some(paths);
        Ok(())
    }

    async fn probe(&self, cx: &Cx, task: &mut VolumeDelete) -> Result<Probe, Error> {
        Ok(if is_aside(cx, task).await? {
            Probe::Done
        } else {
            Probe::NotDone
        })
    }

    async fn act(&self, cx: &Cx, task: &mut VolumeDelete) -> Result<(), Error> {
        let (path, aside) = chosen(task)?;
        if let Some(folder) = aside.parent() {
            cx.node.host.create_dir(folder, 0o700).await?;
        }
        match cx.node.host.rename(path, aside).await {
            // It may have happened although something after it failed.
            Err(error) if !is_aside(cx, task).await? => Err(error.into()),
            _ => Ok(()),
        }
    }

    async fn undo(&self, cx: &Cx, task: &VolumeDelete) -> Result<(), Error> {
        if task.paths.is_some() && is_aside(cx, task).await? {
            let (path, aside) = chosen(task)?;
            cx.node.host.rename(aside, path).await?;
        }
        Ok(())
    }
}

fn chosen(task: &VolumeDelete) -> Result<&(PathBuf, PathBuf), Error> {
    task.paths
        .as_ref()
        .ok_or_else(|| Error::bug("the volume was not found yet"))
}

async fn is_aside(cx: &Cx, task: &VolumeDelete) -> Result<bool, Error> {
    Ok(cx.node.host.stat(&chosen(task)?.1).await?.is_some())
}

struct Remove;

#[async_trait]
impl Step<VolumeDelete> for Remove {
    fn name(&self) -> &'static str {
        "remove"
    }

    async fn plan(&self, _: &Cx, _: &mut VolumeDelete) -> Result<(), Error> {
        Ok(())
    }

    async fn act(&self, cx: &Cx, task: &mut VolumeDelete) -> Result<(), Error> {
        let (path, aside) = chosen(task)?;
        cx.node.host.remove(aside).await?;
        // A guest's folder goes with its last image.
        if let (Some(_), Some(folder)) = (task.owner, path.parent()) {
            cx.node.host.remove_dir(folder).await?;
        }
        cx.log(&format!("Removed volume '{}'", task.volume)).await;
        Ok(())
    }
}
