//! Makes a storage's disk ready to be unplugged: nothing uses it any more, and all is written.
//!
//! ```text
//!   disable ─ unmount ┃
//!      │         refused by the kernel while files are open, and by us while anything else has the
//!      │         disk: a container has a copy of all mounts. The storage is then as before
//!      new work is refused from here on
//! ```

use async_trait::async_trait;
use model::{Error, StorageId};
use serde::{Deserialize, Serialize};
use tasks::{Probe, Step, Steps, Task};

use super::removable::{Cx, Place, Removable};
use crate::NodeContext;
use crate::host::disk_writes::{self, DISKS};

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
        task.0.note_mounted(&cx.node).await?;
        task.0.was_mounted = task.0.is_mounted(cx).await?;
        Ok(())
    }

    async fn act(&self, cx: &Cx, task: &mut StorageDetach) -> Result<(), Error> {
        task.0.disable(cx, true).await
    }

    /// What could not be mounted again is not offered to new work.
    async fn undo(&self, cx: &Cx, task: &StorageDetach) -> Result<(), Error> {
        let it = &task.0;
        let is_lost = it.was_mounted && !it.is_mounted(cx).await?;
        if is_lost && !it.was_disabled {
            let text = format!("storage '{}' is not mounted and stays disabled", it.storage);
            cx.warn(&text).await;
        }
        it.disable(cx, it.was_disabled || is_lost).await
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
        if task.0.is_mounted(cx).await? {
            return Ok(Probe::NotDone);
        }
        // A device that does not say is not known to be free, and the probe has to end.
        Ok(match task.0.is_free(&cx.node).await {
            Ok(true) => Probe::Done,
            Ok(false) | Err(_) => Probe::NotDone,
        })
    }

    /// The kernel writes out all before it lets go of the disk, but does not say what failed.
    async fn act(&self, cx: &Cx, task: &mut StorageDetach) -> Result<(), Error> {
        let it = &task.0;
        if it.place(&cx.node).await? == Place::Right {
            it.sync(cx).await?;
        }
        it.unmount(cx).await?;
        if !it.is_free(&cx.node).await? {
            return Err(it.in_use());
        }
        cx.log(&format!("{} can be unplugged", it.disks())).await;
        Ok(())
    }

    /// Ends also where a program refuses: the storage is disabled then.
    async fn undo(&self, cx: &Cx, task: &StorageDetach) -> Result<(), Error> {
        if !task.0.was_mounted {
            return Ok(());
        }
        // To mount what is not there takes long.
        let devices = task.0.find_devices(&cx.node).await;
        if devices.is_ok_and(|devices| devices.is_empty()) {
            return Ok(());
        }
        disk_writes::or_left(cx, task.0.mount_it(cx)).await
    }
}
