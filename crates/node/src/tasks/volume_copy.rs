//! Copies a disk image under a name that the caller has chosen, here or to another storage, and compares
//! the two.
//!
//! ```text
//!   copy ─ compare ┃
//!                  ┃ point of no return: there is another volume
//! ```

use async_trait::async_trait;
use model::{BlockFormat, Error, VmId, VolumeId};
use serde::{Deserialize, Serialize};
use storage::ContentType;
use tasks::{Probe, Step, Steps, Task, TaskContext};

use super::guest_object;
use super::qemu_move_disk::warn_unencrypted;
use crate::volumes::images::{self, Copying, Source};
use crate::{NodeContext, volumes};

/// An image to be made, and the guest that its name says.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NewImage {
    pub volume: VolumeId,
    pub owner: VmId,
    pub format: BlockFormat,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct VolumeCopy {
    from: VolumeId,
    /// The guest that the original is of; it is not started meanwhile.
    owner: Option<VmId>,
    to: NewImage,
    /// What a guest sees of it. Set once there is no such volume: what is there from then on is ours.
    #[serde(default)]
    bytes: Option<u64>,
}

impl VolumeCopy {
    pub fn new(from: VolumeId, owner: Option<VmId>, to: NewImage) -> Self {
        Self {
            from,
            owner,
            to,
            bytes: None,
        }
    }
}

impl Task for VolumeCopy {
    type Node = NodeContext;
    const NAME: &'static str = "volume_copy";
    const VERSION: u32 = 1;
    const KIND: &'static str = "imgcopy";

    fn steps() -> Steps<Self> {
        Steps {
            before: &[&CopyImage, &Compare],
            after: &[],
        }
    }

    /// Names of a guest's images are chosen by who holds the guest.
    fn object(&self) -> Option<String> {
        Some(guest_object(self.to.owner))
    }

    fn other_objects(&self) -> Vec<String> {
        let other = self.owner.filter(|owner| *owner != self.to.owner);
        other.map(guest_object).into_iter().collect()
    }
}

type Cx = TaskContext<NodeContext>;

struct CopyImage;

#[async_trait]
impl Step<VolumeCopy> for CopyImage {
    fn name(&self) -> &'static str {
        "copy"
    }

    async fn plan(&self, cx: &Cx, task: &mut VolumeCopy) -> Result<(), Error> {
        let to = &task.to.volume;
        let storage = cx.node.storage(to.storage()).await?;
        if !storage.config().takes(ContentType::Images) {
            let id = to.storage();
            let text = format!("storage '{id}' does not support content-type 'images'");
            return Err(Error::conflict(text));
        }
        check_still(cx, &task.from, task.owner).await?;
        let source = cx.node.storage(task.from.storage()).await?;
        source.activate().await?;
        let bytes = volumes::info_of(&*source, &task.from).await?.size;
        storage.activate().await?;
        if storage.stat(to.name()).await?.is_some() {
            return Err(Error::conflict(format!("volume '{to}' already exists")));
        }
        warn_unencrypted(cx, &*source, &*storage).await;
        task.bytes = Some(bytes);
        Ok(())
    }

    async fn probe(&self, _: &Cx, _: &mut VolumeCopy) -> Result<Probe, Error> {
        // One that was cut off is not known to be whole.
        Ok(Probe::NotDone)
    }

    async fn act(&self, cx: &Cx, task: &mut VolumeCopy) -> Result<(), Error> {
        let (from, to) = (&task.from, &task.to);
        let missing = || Error::bug("the size of the copy was not planned");
        let bytes = task.bytes.ok_or_else(missing)?;
        let name = &to.volume;
        cx.log(&format!("copying '{from}' to '{name}'")).await;
        let storage = cx.node.storage(name.storage()).await?;
        storage.allocate(name.name(), to.format, bytes).await?;
        let source = Source::of_volume(cx, from, None).await?;
        let copying = Copying {
            what: &from.to_string(),
            to: name,
            bytes,
            bytes_per_s: 0,
        };
        images::copy(cx, source, copying).await
    }

    async fn undo(&self, cx: &Cx, task: &VolumeCopy) -> Result<(), Error> {
        if task.bytes.is_none() {
            return Ok(());
        }
        images::let_go(cx, &task.from, None).await?;
        match cx.node.storage(task.to.volume.storage()).await {
            Ok(storage) => Ok(storage.free(task.to.volume.name()).await.map(drop)?),
            // A storage that is no more has no volumes to be removed.
            Err(error) if error.kind == model::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// Refuses an image that a guest may be writing to: a copy would be of no moment.
pub(super) async fn check_still(
    cx: &Cx,
    from: &VolumeId,
    owner: Option<VmId>,
) -> Result<(), Error> {
    let Some(owner) = owner else {
        return Ok(());
    };
    let Some(guest) = cx.node.records.find(owner).await? else {
        return Ok(());
    };
    let guest = guest.record.data;
    let (word, node) = (guest.kind.word(), &guest.node);
    if *node != cx.node.name {
        let text =
            format!("'{from}' is of {word} {owner}, which is on node '{node}': copy it there");
        return Err(Error::conflict(text));
    }
    match cx.node.running.is_running(owner).await? {
        false => Ok(()),
        true => Err(Error::conflict(format!(
            "'{from}' is of {word} {owner}, which is running"
        ))),
    }
}

/// Holds the copy against the original.
struct Compare;

#[async_trait]
impl Step<VolumeCopy> for Compare {
    fn name(&self) -> &'static str {
        "compare"
    }

    async fn act(&self, cx: &Cx, task: &mut VolumeCopy) -> Result<(), Error> {
        cx.log("comparing the copy with the original").await;
        images::compare(cx, &task.from, &task.to.volume).await
    }

    async fn undo(&self, cx: &Cx, task: &VolumeCopy) -> Result<(), Error> {
        images::let_go(cx, &task.from, None).await?;
        images::let_go(cx, &task.to.volume, None).await
    }
}
