//! What the tasks share that take away what disks were joined to.

use std::path::Path;

use async_trait::async_trait;
use model::{Error, ErrorKind, StorageId};
use serde::{Deserialize, Serialize};
use storage::{StorageSpec, StorageType};
use sys::SysError;
use tasks::{Step, Task, TaskContext};

use super::disk_storage::take_out;
use super::removable::still_exported;
use crate::exports::{files_at, is_exported_by};
use crate::host::disk_users::{self, Found, How, Target, User};
use crate::host::disk_writes::{is_final, wipe};
use crate::{NodeContext, volumes_of_guest};

/// What a caller wants gone besides, and what came of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Removal {
    pub(super) name: StorageId,
    pub(super) cleanup_config: bool,
    pub(super) cleanup_disks: bool,
    /// The storages that are there, of this node.
    pub(super) storages: Vec<StorageId>,
    /// The disks and partitions that will be wiped.
    pub(super) targets: Vec<Target>,
    /// What a program refused; nothing more was done then.
    pub(super) refusal: Option<String>,
}

/// A task that takes something away.
pub(super) trait Removes: Task<Node = NodeContext> {
    fn removal(&self) -> &Removal;

    fn removal_mut(&mut self) -> &mut Removal;
}

pub(super) type Cx = TaskContext<NodeContext>;

impl Removal {
    pub(super) fn new(name: StorageId, cleanup_config: bool, cleanup_disks: bool) -> Self {
        Self {
            name,
            cleanup_config,
            cleanup_disks,
            storages: Vec::new(),
            targets: Vec::new(),
            refusal: None,
        }
    }

    pub(super) fn verdict(&self) -> Result<(), Error> {
        let refusal = self.refusal.clone();
        refusal.map_or(Ok(()), |text| Err(Error::unavailable(text)))
    }

    /// Finds the storages that are there, and refuses while a guest has volumes in them.
    pub(super) async fn plan_storages(
        &mut self,
        node: &NodeContext,
        is_there: impl Fn(&StorageSpec) -> bool + Send,
    ) -> Result<(), Error> {
        let entries = node.records.storages().await?;
        let configs = entries.into_iter().map(|entry| entry.config);
        let here: Vec<_> = configs
            .filter(|config| {
                let nodes = config.common.nodes.as_ref();
                let is_here = nodes.is_none_or(|nodes| nodes.contains(&node.name));
                (is_here || is_exported_by(&config.spec, &node.name)) && is_there(&config.spec)
            })
            .collect();
        let mut exports = here.iter();
        if let Some(export) = exports.find(|config| is_exported_by(&config.spec, &node.name)) {
            let path = files_at(&export.spec, &node.name).unwrap_or_default();
            return Err(still_exported(node, export.id(), path).await?);
        }
        for guest in node.records.guests().await? {
            let guest = guest?;
            for volume in volumes_of_guest(&guest) {
                let mut of = here.iter().filter(|config| config.id() == volume.storage());
                if of.any(|config| guest.node == node.name || config.spec.is_shared()) {
                    let vmid = guest.vmid;
                    let text = format!("volume '{volume}' of guest {vmid} is there");
                    return Err(Error::conflict(text));
                }
            }
        }
        self.storages = here.iter().map(|config| config.id().clone()).collect();
        Ok(())
    }

    /// Chooses what will be wiped of a disk or partition: the disk, if nothing else is on it. Users
    /// other than what goes are refused.
    pub(super) async fn plan_wipe(
        &mut self,
        node: &NodeContext,
        path: &str,
        goes: impl Fn(&User) -> bool,
    ) -> Result<(), Error> {
        let found = match disk_users::find(node, path).await {
            // A member that is lost has nothing to be wiped, and one that is no disk stays.
            Err(error) if error.kind == ErrorKind::Conflict => {
                let is_lost = node.host.stat(Path::new(path)).await?.is_none();
                return match is_lost || !self.cleanup_disks {
                    true => Ok(()),
                    false => Err(error),
                };
            }
            found => whole(node, found?).await?,
        };
        let users = disk_users::users(node, &found).await?;
        // The node's own system is never anyone's to take away.
        let stays = |user: &&User| user.how == How::System || (self.cleanup_disks && !goes(user));
        if let Some(user) = users.iter().find(stays) {
            return Err(Error::conflict(format!("cannot take it away: {user}")));
        }
        if self.cleanup_disks {
            let target = found.target();
            if !self.targets.contains(&target) {
                self.targets.push(target);
            }
        }
        Ok(())
    }

    /// What came of a program: its refusal ends the work, anything else is tried again.
    pub(super) fn settle(&mut self, result: Result<(), SysError>) -> Result<(), Error> {
        match result {
            Err(error) if is_final(&error) => self.refusal = Some(Error::chain(&error)),
            result => result?,
        }
        Ok(())
    }
}

/// The disk of a partition that is alone on it, or only beside the one that ZFS keeps for itself.
async fn whole(node: &NodeContext, found: Found) -> Result<Found, Error> {
    const RESERVED: &str = "6a945a3b-1dd2-11b2-99a6-080020736631";
    let Some(part) = &found.part else {
        return Ok(found);
    };
    let is_alone = found
        .disk
        .partitions()
        .all(|other| other.path == part.path || other.parttype.as_deref() == Some(RESERVED));
    match is_alone {
        true => disk_users::find(node, &found.disk.path).await,
        false => Ok(found),
    }
}

/// Takes this node out of the storages that were there.
pub(super) struct CleanConfig;

#[async_trait]
impl<T: Removes> Step<T> for CleanConfig {
    fn name(&self) -> &'static str {
        "clean-config"
    }

    async fn act(&self, cx: &Cx, task: &mut T) -> Result<(), Error> {
        let removal = task.removal();
        if removal.refusal.is_some() || !removal.cleanup_config {
            return Ok(());
        }
        let members = cx.node.cluster.members.all();
        let members: Vec<_> = members.keys().cloned().collect();
        for id in &removal.storages {
            take_out(&cx.node, id, &members).await?;
            cx.log(&format!("storage '{id}' is not on this node any more"))
                .await;
        }
        Ok(())
    }
}

/// Wipes the disks, if wanted.
pub(super) struct CleanDisks;

#[async_trait]
impl<T: Removes> Step<T> for CleanDisks {
    fn name(&self) -> &'static str {
        "clean-disks"
    }

    async fn act(&self, cx: &Cx, task: &mut T) -> Result<(), Error> {
        let removal = task.removal_mut();
        if removal.refusal.is_some() {
            return Ok(());
        }
        for target in removal.targets.clone() {
            let Some(found) = target.find(&cx.node).await? else {
                cx.warn(&format!("{} is another disk by now; it stays", target.path))
                    .await;
                continue;
            };
            if let Some(refusal) =
                disk_users::refusal(disk_users::check_wipeable(&cx.node, &found).await)?
            {
                cx.warn(&format!("{refusal}; it stays")).await;
                continue;
            }
            cx.log(&format!("wiping {}", target.path)).await;
            removal.settle(wipe(cx, &found).await)?;
        }
        Ok(())
    }
}

/// Whether it is a volume group's storage, of plain or of thin volumes.
pub(super) fn is_in_group(spec: &StorageSpec, group: &str) -> bool {
    match spec {
        StorageSpec::Lvm(spec) => spec.vgname == group,
        StorageSpec::LvmThin(spec) => spec.vgname == group,
        _ => false,
    }
}

/// Whether a volume of LVM or ZFS is a guest's by its name: an image, a directory, or what a storage
/// keeps of them. Snapshots and volumes on their way out have names of the storage's own.
pub(super) fn is_guests(kind: StorageType, name: &str) -> bool {
    let own = ["snap_vm-", "snap_base-", "del-vm-", "del-base-"];
    kind.parse(name).is_some() || own.iter().any(|begin| name.starts_with(begin))
}
