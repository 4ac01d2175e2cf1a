//! Makes a storage's disk ready to be unplugged: nothing uses it any more, and all is written.
//!
//! ```text
//!   disable ─ unmount ┃
//!      │         refused by the kernel while files are open: the storage is then as before
//!      new work is refused from here on
//! ```

use async_trait::async_trait;
use model::{Error, StorageId};
use serde::{Deserialize, Serialize};
use tasks::{Probe, Step, Steps, Task};

use super::removable::{Cx, Removable};
use crate::NodeContext;
use crate::host::disk_writes::DISKS;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StorageDetach(Removable);

impl StorageDetach {
    /// Refuses what the task would refuse.
    pub async fn check(node: &NodeContext, storage: &StorageId) -> Result<Self, Error> {
        let found = Removable::find(node, storage).await?;
        found.check_unused(node).await?;
        Ok(Self(found))
    }
}

impl Task for StorageDetach {
    type Node = NodeContext;
    const NAME: &'static str = "storage_detach";
    const VERSION: u32 = 1;
    const KIND: &'static str = "storagedetach";

    fn steps() -> Steps<Self> {
        Steps {
            before: &[&Disable, &Unmount],
            after: &[],
        }
    }

    fn object(&self) -> Option<String> {
        Some(DISKS.to_owned())
    }
}

struct Disable;

#[async_trait]
impl Step<StorageDetach> for Disable {
    fn name(&self) -> &'static str {
        "disable"
    }

    async fn plan(&self, cx: &Cx, task: &mut StorageDetach) -> Result<(), Error> {
        let id = task.0.storage.clone();
        *task = StorageDetach::check(&cx.node, &id).await?;
        task.0.was_mounted = task.0.is_mounted(cx).await?;
        Ok(())
    }

    async fn act(&self, cx: &Cx, task: &mut StorageDetach) -> Result<(), Error> {
        task.0.disable(cx, true).await
    }

    async fn undo(&self, cx: &Cx, task: &StorageDetach) -> Result<(), Error> {
        task.0.disable(cx, task.0.was_disabled).await
    }
}

struct Unmount;

#[async_trait]
impl Step<StorageDetach> for Unmount {
    fn name(&self) -> &'static str {
        "unmount"
    }

    /// What began before the storage was disabled counts, too.
    async fn plan(&self, cx: &Cx, task: &mut StorageDetach) -> Result<(), Error> {
        task.0.check_unused(&cx.node).await
    }

    async fn probe(&self, cx: &Cx, task: &mut StorageDetach) -> Result<Probe, Error> {
        Ok(match task.0.is_mounted(cx).await? {
            true => Probe::NotDone,
            false => Probe::Done,
        })
    }

    /// The kernel writes out all before it lets go of the disk.
    async fn act(&self, cx: &Cx, task: &mut StorageDetach) -> Result<(), Error> {
        task.0.unmount(cx).await?;
        let disk = task.0.disk(&cx.node).await?;
        let disk = disk.unwrap_or_else(|| "its disk".to_owned());
        cx.log(&format!("{disk} can be unplugged")).await;
        Ok(())
    }

    async fn undo(&self, cx: &Cx, task: &StorageDetach) -> Result<(), Error> {
        let is_there = task.0.disk(&cx.node).await?.is_some();
        match task.0.was_mounted && is_there {
            true => task.0.mount_it(cx).await,
            false => Ok(()),
        }
    }
}
