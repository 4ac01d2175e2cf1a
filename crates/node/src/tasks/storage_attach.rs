//! Makes a storage usable again whose disk was plugged in.

use async_trait::async_trait;
use model::{Error, StorageId};
use serde::{Deserialize, Serialize};
use tasks::{Probe, Step, Steps, Task};

use super::removable::{Cx, Removable};
use crate::NodeContext;
use crate::host::disk_writes::DISKS;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StorageAttach(Removable);

impl StorageAttach {
    /// Refuses what the task would refuse.
    pub async fn check(node: &NodeContext, storage: &StorageId) -> Result<Self, Error> {
        let found = Removable::find(node, storage).await?;
        match found.disk(node).await? {
            Some(_) => Ok(Self(found)),
            None => Err(found.unplugged()),
        }
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
        task.0.was_mounted = task.0.is_mounted(cx).await?;
        Ok(())
    }

    async fn probe(&self, cx: &Cx, task: &mut StorageAttach) -> Result<Probe, Error> {
        Ok(match task.0.is_mounted(cx).await? {
            true => Probe::Done,
            false => Probe::NotDone,
        })
    }

    async fn act(&self, cx: &Cx, task: &mut StorageAttach) -> Result<(), Error> {
        task.0.mount_it(cx).await
    }

    async fn undo(&self, cx: &Cx, task: &StorageAttach) -> Result<(), Error> {
        match task.0.was_mounted {
            true => Ok(()),
            false => task.0.unmount(cx).await,
        }
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
