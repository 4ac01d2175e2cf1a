//! Takes away a directory that is on a disk of its own: its mount and its unit, and what else is wanted.

use std::path::Path;

use async_trait::async_trait;
use model::{Error, StorageId};
use serde::{Deserialize, Serialize};
use storage::StorageSpec;
use tasks::{Probe, Step, Steps, Task};

use super::disk_removal::{CleanConfig, CleanDisks, Cx, Removal, Removes};
use crate::NodeContext;
use crate::exports::files_at;
use crate::host::disk_users::How;
use crate::host::disk_writes::DISKS;
use crate::host::disks::{self, Block};
use crate::host::mount_units;
use crate::host::pools::directories::directories;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DiskDirectoryDelete(Removal);

impl DiskDirectoryDelete {
    pub fn new(name: StorageId, cleanup_config: bool, cleanup_disks: bool) -> Self {
        Self(Removal::new(name, cleanup_config, cleanup_disks))
    }
}

impl Task for DiskDirectoryDelete {
    type Node = NodeContext;
    const NAME: &'static str = "disk_directory_delete";
    const VERSION: u32 = 1;
    const KIND: &'static str = "dirremove";

    fn steps() -> Steps<Self> {
        Steps {
            before: &[&Unmount],
            after: &[&Forget, &CleanConfig, &CleanDisks],
        }
    }

    fn object(&self) -> Option<String> {
        Some(DISKS.to_owned())
    }

    fn verdict(&self) -> Result<(), Error> {
        self.0.verdict()
    }
}

impl Removes for DiskDirectoryDelete {
    fn removal(&self) -> &Removal {
        &self.0
    }

    fn removal_mut(&mut self) -> &mut Removal {
        &mut self.0
    }
}

/// The point of no return: a directory that is in use stays.
struct Unmount;

#[async_trait]
impl Step<DiskDirectoryDelete> for Unmount {
    fn name(&self) -> &'static str {
        "unmount"
    }

    async fn plan(&self, cx: &Cx, task: &mut DiskDirectoryDelete) -> Result<(), Error> {
        let removal = &mut task.0;
        let name = removal.name.clone();
        let unit = mount_units::unit_file(name.as_str());
        let unit = unit.display().to_string();
        let units = directories(&cx.node.host).await?;
        let found = units
            .into_iter()
            .find(|directory| directory.unit_file == unit);
        let missing = || Error::conflict(format!("no such directory '{name}': there is no {unit}"));
        let directory = found.ok_or_else(missing)?;
        let folder = mount_units::folder(name.as_str()).display().to_string();
        let is_there = |spec: &StorageSpec| {
            let path = files_at(spec, &cx.node.name);
            path.is_some_and(|path| Path::new(path).starts_with(&folder))
        };
        removal.plan_storages(&cx.node, is_there).await?;
        if !removal.cleanup_disks {
            return Ok(());
        }
        let uuid = directory.device.strip_prefix("/dev/disk/by-uuid/");
        let all = disks::disks(&cx.node.host).await?;
        let mut blocks = all.iter().flat_map(Block::all);
        let block = blocks.find(|block| uuid.is_some() && block.uuid.as_deref() == uuid);
        let gone = || Error::conflict(format!("'{}' is on no disk of this node", directory.device));
        let path = block.ok_or_else(gone)?.path.clone();
        let goes = How::Mounted(folder.clone());
        removal
            .plan_wipe(&cx.node, &path, |user| user.how == goes)
            .await
    }

    async fn probe(&self, cx: &Cx, task: &mut DiskDirectoryDelete) -> Result<Probe, Error> {
        let is_mounted = mount_units::is_mounted(cx, task.0.name.as_str()).await?;
        Ok(if is_mounted {
            Probe::NotDone
        } else {
            Probe::Done
        })
    }

    async fn act(&self, cx: &Cx, task: &mut DiskDirectoryDelete) -> Result<(), Error> {
        Ok(mount_units::unmount(cx, task.0.name.as_str()).await?)
    }
}

struct Forget;

#[async_trait]
impl Step<DiskDirectoryDelete> for Forget {
    fn name(&self) -> &'static str {
        "forget"
    }

    async fn act(&self, cx: &Cx, task: &mut DiskDirectoryDelete) -> Result<(), Error> {
        let forgotten = mount_units::forget(cx, task.0.name.as_str()).await;
        task.0.settle(forgotten)
    }
}
