//! What the tasks share that change a pool of ZFS by one call of `zpool`.
//!
//! The call is made once: before it is repeated, after a failure or a restart, the pool is looked at.

use std::path::Path;

use async_trait::async_trait;
use model::{Error, StorageId};
use serde::{Deserialize, Serialize};
use sys::Command;
use tasks::{Probe, Step, Task, TaskContext};

use super::disk_zfs_create::lasting_name;
use crate::NodeContext;
use crate::host::disk_users::{self, Found, Target};
use crate::host::disk_writes::{self, is_final};
use crate::host::pools::zfs::{self, Device};
use crate::host::pools::zpool::{self, State};

/// The pool, the disks that are new in it, and what came of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct PoolChange {
    pub(super) pool: StorageId,
    targets: Vec<Target>,
    /// The new disks by names that stay theirs.
    pub(super) names: Vec<String>,
    /// In bytes, of each.
    pub(super) sizes: Vec<u64>,
    /// What an administrator should know of the new disks.
    pub(super) warnings: Vec<String>,
    /// What a program refused; nothing was done then.
    refusal: Option<String>,
}

/// A task that changes a pool.
#[async_trait]
pub(super) trait ChangesPool: Task<Node = NodeContext> {
    fn change(&self) -> &PoolChange;

    fn change_mut(&mut self) -> &mut PoolChange;

    /// Refuses what cannot be done, and chooses all names.
    async fn check(&mut self, node: &NodeContext) -> Result<(), Error>;

    /// The arguments of `zpool`.
    fn arguments(&self) -> Vec<String>;

    /// Whether it has been done, where new disks do not say so.
    fn is_done(&self, _pool: &State) -> bool {
        false
    }
}

impl PoolChange {
    pub(super) fn new(pool: StorageId) -> Self {
        Self {
            pool,
            targets: Vec::new(),
            names: Vec::new(),
            sizes: Vec::new(),
            warnings: Vec::new(),
            refusal: None,
        }
    }

    pub(super) fn verdict(&self) -> Result<(), Error> {
        let refusal = self.refusal.clone();
        refusal.map_or(Ok(()), |text| Err(Error::unavailable(text)))
    }

    pub(super) async fn state(&self, node: &NodeContext) -> Result<State, Error> {
        zpool::state(&node.host, self.pool.as_str()).await
    }

    /// Chooses new disks; those that are used are refused.
    pub(super) async fn choose(
        &mut self,
        node: &NodeContext,
        devices: &[String],
    ) -> Result<(), Error> {
        *self = Self::new(self.pool.clone());
        for device in devices {
            let found = disk_users::find(node, device).await?;
            disk_users::check_unused(node, &found).await?;
            let target = found.target();
            if self.targets.contains(&target) {
                let text = format!("device '{device}' is given twice");
                return Err(Error::conflict(text));
            }
            self.names.push(lasting_name(node, &found).await?);
            self.sizes.push(found.block().size);
            self.warnings.extend(found.disk.raid_warning());
            self.targets.push(target);
        }
        Ok(())
    }

    /// Whether all new disks are in the pool.
    async fn has_joined(&self, node: &NodeContext) -> Result<bool, Error> {
        if self.targets.is_empty() {
            return Ok(false);
        }
        let members = zfs::members(&node.host).await?;
        for target in &self.targets {
            let Some(found) = target.find(node).await? else {
                return Ok(false);
            };
            let parts = found.block().all();
            let is_in = |(pool, path): &(String, String)| {
                *pool == self.pool.as_str() && parts.iter().any(|part| part.path == *path)
            };
            if !members.iter().any(is_in) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The new disks as they are now; a refusal where one is another by now, or has a user.
    async fn find(&self, node: &NodeContext) -> Result<Result<Vec<Found>, String>, Error> {
        let mut disks = Vec::new();
        for target in &self.targets {
            let Some(found) = target.find(node).await? else {
                return Ok(Err(format!("{} is another disk by now", target.path)));
            };
            let checked = disk_users::check_wipeable(node, &found).await;
            if let Some(refusal) = disk_users::refusal(checked)? {
                return Ok(Err(refusal));
            }
            disks.push(found);
        }
        Ok(Ok(disks))
    }
}

/// A device of a pool, with what it is in.
pub(super) struct Member<'a> {
    pub(super) device: &'a Device,
    pub(super) parent: &'a Device,
    /// By which it is known also when it is gone.
    pub(super) guid: String,
}

/// A device by its GUID, by its name in the pool, or by a name of the disk or partition.
pub(super) async fn member<'a>(
    node: &NodeContext,
    pool: &'a State,
    wanted: &str,
) -> Result<Member<'a>, Error> {
    let resolved = node.host.resolve(Path::new(wanted)).await;
    let resolved = resolved.map(|path| path.display().to_string());
    let mut parents: Vec<&Device> = pool.status.devices.iter().collect();
    while let Some(parent) = parents.pop() {
        for device in &parent.children {
            if !device.children.is_empty() {
                parents.push(device);
                continue;
            }
            let mut is_it = device.name == wanted || device.guid.as_deref() == Some(wanted);
            if let (Ok(disk), false) = (&resolved, is_it) {
                let path = node.host.resolve(Path::new(&device.name)).await;
                is_it = path.is_ok_and(|path| is_on(&path.display().to_string(), disk));
            }
            if let (true, Some(guid)) = (is_it, device.guid.clone()) {
                return Ok(Member {
                    device,
                    parent,
                    guid,
                });
            }
        }
    }
    let name = &pool.pool.name;
    let text = format!("pool '{name}' has no device '{wanted}'");
    Err(Error::invalid("device", text))
}

/// Whether a path is the disk's, or one of its partitions'.
fn is_on(path: &str, disk: &str) -> bool {
    let number = path
        .strip_prefix(disk)
        .map(|rest| rest.trim_start_matches('p'));
    number.is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
}

pub(super) type Cx = TaskContext<NodeContext>;

/// From here on it is done, or refused by `zpool`.
pub(super) struct Check;

#[async_trait]
impl<T: ChangesPool> Step<T> for Check {
    fn name(&self) -> &'static str {
        "check"
    }

    async fn plan(&self, cx: &Cx, task: &mut T) -> Result<(), Error> {
        task.check(&cx.node).await
    }

    async fn probe(&self, _: &Cx, _: &mut T) -> Result<Probe, Error> {
        Ok(Probe::Done)
    }

    async fn act(&self, _: &Cx, _: &mut T) -> Result<(), Error> {
        Ok(())
    }
}

pub(super) struct Change;

impl Change {
    async fn is_done<T: ChangesPool>(cx: &Cx, task: &T) -> Result<bool, Error> {
        let change = task.change();
        Ok(change.has_joined(&cx.node).await? || task.is_done(&change.state(&cx.node).await?))
    }

    /// None if it was done; otherwise why not.
    async fn run<T: ChangesPool>(cx: &Cx, task: &T) -> Result<Option<String>, Error> {
        let disks = match task.change().find(&cx.node).await? {
            Ok(disks) => disks,
            Err(refusal) => return Ok(Some(refusal)),
        };
        for found in &disks {
            disk_writes::clear(cx, found).await?;
        }
        let command = Command::new("zpool").args(task.arguments());
        match disk_writes::run(cx, command).await {
            Err(error) if is_final(&error) => {
                if Self::is_done(cx, task).await? {
                    return Ok(None);
                }
                // It may have made partitions before it refused.
                for found in &disks {
                    disk_writes::or_left(cx, disk_writes::clear(cx, found)).await?;
                }
                Ok(Some(Error::chain(&error)))
            }
            result => {
                result?;
                disk_writes::settle(cx).await?;
                Ok(None)
            }
        }
    }
}

#[async_trait]
impl<T: ChangesPool> Step<T> for Change {
    fn name(&self) -> &'static str {
        "change"
    }

    async fn act(&self, cx: &Cx, task: &mut T) -> Result<(), Error> {
        let is_done = match Self::is_done(cx, task).await {
            Err(error) if error.kind == model::ErrorKind::NotFound => {
                task.change_mut().refusal = Some(error.to_string());
                return Ok(());
            }
            is_done => is_done?,
        };
        if !is_done {
            for warning in &task.change().warnings {
                cx.warn(warning).await;
            }
            cx.log(&format!("zpool {}", task.arguments().join(" ")))
                .await;
            task.change_mut().refusal = Self::run(cx, task).await?;
        }
        Ok(())
    }
}

/// A task whose change is in its field `change`.
macro_rules! pool_task {
    ($task:ident, $name:literal, $kind:literal) => {
        impl tasks::Task for $task {
            type Node = crate::NodeContext;
            const NAME: &'static str = $name;
            const VERSION: u32 = 1;
            const KIND: &'static str = $kind;

            fn steps() -> tasks::Steps<Self> {
                tasks::Steps {
                    before: &[&super::pool_change::Check],
                    after: &[&super::pool_change::Change],
                }
            }

            fn object(&self) -> Option<String> {
                Some(crate::host::disk_writes::DISKS.to_owned())
            }

            fn verdict(&self) -> Result<(), model::Error> {
                self.change.verdict()
            }
        }
    };
}

/// How a task says what it changes.
macro_rules! its_change {
    () => {
        fn change(&self) -> &super::pool_change::PoolChange {
            &self.change
        }

        fn change_mut(&mut self) -> &mut super::pool_change::PoolChange {
            &mut self.change
        }
    };
}

pub(super) use {its_change, pool_task};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_is_on_its_disk() {
        assert!(is_on("/dev/sdb1", "/dev/sdb") && is_on("/dev/nvme0n1p1", "/dev/nvme0n1"));
        assert!(is_on("/dev/sdb", "/dev/sdb"));
        assert!(!is_on("/dev/sdbc", "/dev/sdb") && !is_on("/dev/sdc1", "/dev/sdb"));
    }
}
