//! Makes an empty disk image under a name that the caller has chosen.

use async_trait::async_trait;
use model::{BlockFormat, Error, VmId, VolumeId};
use serde::{Deserialize, Serialize};
use storage::ContentType;
use tasks::{Probe, Step, Steps, Task, TaskContext};

use super::guest_object;
use crate::NodeContext;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct VolumeCreate {
    pub volume: VolumeId,
    pub owner: VmId,
    pub format: BlockFormat,
    pub bytes: u64,
    /// There was no such volume: what is there from now on is ours.
    #[serde(default)]
    is_new: bool,
}

impl VolumeCreate {
    pub fn new(volume: VolumeId, owner: VmId, format: BlockFormat, bytes: u64) -> Self {
        Self {
            volume,
            owner,
            format,
            bytes,
            is_new: false,
        }
    }
}

impl Task for VolumeCreate {
    type Node = NodeContext;
    const NAME: &'static str = "volume_create";
    const VERSION: u32 = 1;
    const KIND: &'static str = "imgcreate";

    fn steps() -> Steps<Self> {
        Steps {
            before: &[&Allocate],
            after: &[],
        }
    }

    /// Everybody who makes images of a guest holds the guest, so that names chosen once stay
    /// free until they are used.
    fn object(&self) -> Option<String> {
        Some(guest_object(self.owner))
    }
}

type Cx = TaskContext<NodeContext>;

struct Allocate;

#[async_trait]
impl Step<VolumeCreate> for Allocate {
    fn name(&self) -> &'static str {
        "allocate"
    }

    async fn plan(&self, cx: &Cx, task: &mut VolumeCreate) -> Result<(), Error> {
        let storage = cx.node.storage(task.volume.storage()).await?;
        if !storage.config().takes(ContentType::Images) {
            let id = task.volume.storage();
            let text = format!("storage '{id}' does not support content-type 'images'");
            return Err(Error::conflict(text));
        }
        storage.activate().await?;
        if storage.stat(task.volume.name()).await?.is_some() {
            return Err(Error::conflict(format!(
                "disk image '{}' already exists",
                task.volume
            )));
        }
        task.is_new = true;
        Ok(())
    }

    async fn probe(&self, _: &Cx, _: &mut VolumeCreate) -> Result<Probe, Error> {
        // An image is made by a program that may have been cut off in the middle of it, so one
        // that is there is not known to be whole.
        Ok(Probe::NotDone)
    }

    async fn act(&self, cx: &Cx, task: &mut VolumeCreate) -> Result<(), Error> {
        let storage = cx.node.storage(task.volume.storage()).await?;
        Ok(storage
            .allocate(task.volume.name(), task.format, task.bytes)
            .await?)
    }

    async fn undo(&self, cx: &Cx, task: &VolumeCreate) -> Result<(), Error> {
        if !task.is_new {
            return Ok(());
        }
        match cx.node.storage(task.volume.storage()).await {
            Ok(storage) => Ok(storage.free(task.volume.name()).await.map(drop)?),
            // A storage that is no more has no volumes to be removed.
            Err(error) if error.kind == model::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }
}
