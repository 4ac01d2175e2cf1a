//! Removes a volume from its storage, with what belongs to it.

use async_trait::async_trait;
use model::{Error, GuestConfig, GuestRecord, PendingChange, VmId, VolumeId};
use serde::{Deserialize, Serialize};
use storage::{ContentType, VolumeNames};
use tasks::{Probe, Step, Steps, Task, TaskContext};

use super::guest_object;
use crate::{NodeContext, volumes, volumes_of, volumes_of_guest};

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct VolumeDelete {
    pub volume: VolumeId,
    /// The guest whose disk image it is.
    pub owner: Option<VmId>,
}

impl Task for VolumeDelete {
    type Node = NodeContext;
    const NAME: &'static str = "volume_delete";
    const VERSION: u32 = 2;
    const KIND: &'static str = "imgdel";
    const ON_FULL_DISK: bool = true;

    fn steps() -> Steps<Self> {
        Steps {
            before: &[&Check],
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
    /// snapshot, and one with linked clones. Files that people bring may be removed while a
    /// guest names them, as in Proxmox VE.
    pub async fn check_unused(&self, volume: &VolumeId, owner: Option<VmId>) -> Result<(), Error> {
        if owner.is_none() {
            return Ok(());
        }
        let names = self.records.volume_names().await?;
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
                .find(|(_, named)| names.is_same_image(named, volume))
            {
                let vmid = guest.vmid;
                return Err(Error::conflict(format!(
                    "can't remove volume '{volume}' - it is used by VM {vmid} ({option})"
                )));
            }
            check_unused_by(guest, volume, &names)?;
        }
        Ok(())
    }
}

impl NodeContext {
    /// Refuses a backup that is protected. The text is Proxmox VE's.
    pub(crate) async fn check_unprotected(&self, volume: &VolumeId) -> Result<(), Error> {
        let storage = self.storage(volume.storage()).await?;
        let content = storage.config().parse(volume.name())?.content;
        let backups = storage.backups();
        let Some(backups) = backups.filter(|_| content == ContentType::Backup) else {
            return Ok(());
        };
        let found = backups.backup(volume.name()).await?;
        match found.is_some_and(|backup| backup.is_protected) {
            false => Ok(()),
            true => Err(Error::conflict(format!(
                "cannot remove protected volume '{}' on '{}'",
                volume.name(),
                volume.storage()
            ))),
        }
    }
}

/// Removes a volume that its guest has no use for any more; one that another guest uses
/// stays, with a line in the log.
pub(super) async fn free_unwanted(
    cx: &TaskContext<NodeContext>,
    volume: &VolumeId,
) -> Result<(), Error> {
    let names = cx.node.records.volume_names().await?;
    for guest in cx.node.records.guests().await? {
        if let Err(why) = check_unused_by(&guest?, volume, &names) {
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
    /// Refuses to remove or to change volumes that have linked clones.
    pub(crate) async fn check_no_clones(
        &self,
        volumes: &[VolumeId],
        names: &VolumeNames,
    ) -> Result<(), Error> {
        if volumes.is_empty() {
            return Ok(());
        }
        for guest in self.records.guests().await? {
            let guest = guest?;
            for volume in volumes {
                check_no_clones(&guest, volume, names)?;
            }
        }
        Ok(())
    }
}

/// Refuses a volume that a guest has saved something in, or a linked clone of.
fn check_unused_by(
    guest: &GuestRecord,
    volume: &VolumeId,
    names: &VolumeNames,
) -> Result<(), Error> {
    let used = volumes_of_guest(guest);
    if used.iter().any(|used| names.is_same_image(used, volume)) {
        let vmid = guest.vmid;
        let text = format!("can't remove volume '{volume}' - a snapshot of VM {vmid} uses it");
        return Err(Error::conflict(text));
    }
    check_no_clones(guest, volume, names)
}

/// Refuses a volume that a guest has a linked clone of.
pub(super) fn check_no_clones(
    guest: &GuestRecord,
    volume: &VolumeId,
    names: &VolumeNames,
) -> Result<(), Error> {
    let used = volumes_of_guest(guest);
    if used.iter().any(|used| names.is_clone_of(used, volume)) {
        let text = format!("base volume '{volume}' is still in use by linked cloned");
        return Err(Error::conflict(text));
    }
    Ok(())
}

type Cx = TaskContext<NodeContext>;

/// From here on the volume goes, however often that has to be tried.
struct Check;

#[async_trait]
impl Step<VolumeDelete> for Check {
    fn name(&self) -> &'static str {
        "check"
    }

    async fn plan(&self, cx: &Cx, task: &mut VolumeDelete) -> Result<(), Error> {
        let volume = &task.volume;
        cx.node.check_unused(volume, task.owner).await?;
        cx.node.check_unprotected(volume).await?;
        let storage = cx.node.storage(volume.storage()).await?;
        volumes::info_of(&*storage, volume).await.map(drop)
    }

    async fn probe(&self, _: &Cx, _: &mut VolumeDelete) -> Result<Probe, Error> {
        Ok(Probe::Done)
    }

    async fn act(&self, _: &Cx, _: &mut VolumeDelete) -> Result<(), Error> {
        Ok(())
    }
}

struct Remove;

#[async_trait]
impl Step<VolumeDelete> for Remove {
    fn name(&self) -> &'static str {
        "remove"
    }

    async fn act(&self, cx: &Cx, task: &mut VolumeDelete) -> Result<(), Error> {
        let storage = cx.node.storage(task.volume.storage()).await?;
        storage.free(task.volume.name()).await?;
        cx.log(&format!("Removed volume '{}'", task.volume)).await;
        Ok(())
    }
}
