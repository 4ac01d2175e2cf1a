//! Makes a storage usable again whose disk was plugged in.

use async_trait::async_trait;
use model::{Error, StorageId};
use serde::{Deserialize, Serialize};
use tasks::{Probe, Step, Steps, Task};

use super::removable::{Cx, Place, Removable};
use crate::NodeContext;
use crate::host::disk_writes::{self, DISKS};

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StorageAttach(Removable);

impl StorageAttach {
    /// Refuses what the task would refuse.
    pub async fn check(node: &NodeContext, storage: &StorageId) -> Result<Self, Error> {
        let mut found = Removable::find(node, storage).await?;
        found.note_devices(node).await?;
        found.check_devices()?;
        let place = found.place(node).await?;
        if let Place::Other(by) = &place {
            return Err(found.taken(by));
        }
        found.was_mounted = place == Place::Right;
        Ok(Self(found))
    }
}

impl Task for StorageAttach {
    type Node = NodeContext;
    const NAME: &'static str = "storage_attach";
    const VERSION: u32 = 1;
    const KIND: &'static str = "storageattach";

    fn steps() -> Steps<Self> {
        Steps {
            before: &[&Attach],
            after: &[&Enable],
        }
    }

    fn object(&self) -> Option<String> {
        Some(DISKS.to_owned())
    }
}

struct Attach;

#[async_trait]
impl Step<StorageAttach> for Attach {
    fn name(&self) -> &'static str {
        "mount"
    }

    async fn plan(&self, cx: &Cx, task: &mut StorageAttach) -> Result<(), Error> {
        let id = task.0.storage.clone();
        *task = StorageAttach::check(&cx.node, &id).await?;
        Ok(())
    }

    async fn probe(&self, cx: &Cx, task: &mut StorageAttach) -> Result<Probe, Error> {
        Ok(match task.0.place(&cx.node).await? {
            Place::Right => Probe::Done,
            _ => Probe::NotDone,
        })
    }

    async fn act(&self, cx: &Cx, task: &mut StorageAttach) -> Result<(), Error> {
        task.0.take_place(cx).await
    }

    /// What is enabled may be used by now, also by what is not known here: it stays mounted.
    async fn undo(&self, cx: &Cx, task: &StorageAttach) -> Result<(), Error> {
        if task.0.was_mounted || !task.0.is_disabled(&cx.node).await? {
            return Ok(());
        }
        disk_writes::or_left(cx, task.0.unmount(cx)).await
    }
}

struct Enable;

#[async_trait]
impl Step<StorageAttach> for Enable {
    fn name(&self) -> &'static str {
        "enable"
    }

    async fn act(&self, cx: &Cx, task: &mut StorageAttach) -> Result<(), Error> {
        task.0.disable(cx, false).await
    }
}
