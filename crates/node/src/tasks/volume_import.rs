//! Makes an image or a directory of a guest of what comes in a caller's stream.
//!
//! ```text
//!   take ─ verify ─ drop-snapshot ┃
//!                                 ┃ point of no return: there is another volume
//! ```

use async_trait::async_trait;
use model::{BlockFormat, Error, VmId, VolumeId};
use serde::{Deserialize, Serialize};
use storage::{Storage, StreamFormat};
use tasks::{Probe, Step, Steps, Task, TaskContext};

use super::guest_object;
use crate::NodeContext;
use crate::guests::disk_snapshots::snapshots_of;
use crate::volumes::streams::{self, Progress, Reader};
use crate::volumes::{images, named};

/// What a caller wants besides the volume.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ImportRules {
    /// Where the name is taken, another is chosen.
    pub may_rename: bool,
    /// Removed from the volume in the end.
    pub delete_snapshot: Option<String>,
    /// The volume is read again and held against what came.
    pub verifies: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct VolumeImport {
    volume: VolumeId,
    owner: VmId,
    /// The format of an image; none for a directory.
    format: Option<BlockFormat>,
    stream_format: StreamFormat,
    /// Where it comes from, in the node's streams.
    stream: String,
    rules: ImportRules,
    /// There was no such volume: what is there from now on is ours.
    #[serde(default)]
    is_new: bool,
    /// What a guest is to see, by its checksum and length.
    #[serde(default)]
    sum: Option<(String, u64)>,
}

impl VolumeImport {
    /// `format` is that of an image, none for a directory.
    pub fn new(
        (volume, owner, format): (VolumeId, VmId, Option<BlockFormat>),
        stream_format: StreamFormat,
        stream: String,
        rules: ImportRules,
    ) -> Self {
        Self {
            volume,
            owner,
            format,
            stream_format,
            stream,
            rules,
            is_new: false,
            sum: None,
        }
    }
}

impl Task for VolumeImport {
    type Node = NodeContext;
    const NAME: &'static str = "volume_import";
    const VERSION: u32 = 1;
    const KIND: &'static str = "imgimport";

    fn steps() -> Steps<Self> {
        Steps {
            before: &[&Take, &Verify, &DropSnapshot],
            after: &[],
        }
    }

    /// Names of a guest's volumes are chosen by who holds the guest.
    fn object(&self) -> Option<String> {
        Some(guest_object(self.owner))
    }
}

type Cx = TaskContext<NodeContext>;

struct Take;

/// Another name for a volume of the same kind.
async fn other_name(storage: &dyn Storage, task: &VolumeImport) -> Result<VolumeId, Error> {
    let name = match (task.format, storage.trees()) {
        (Some(format), _) => storage.choose_image_name(task.owner, format, &[]).await?,
        (None, Some(trees)) => trees.choose_tree_name(task.owner, &[]).await?,
        (None, None) => return Err(Error::bug("a directory where there are none")),
    };
    named(task.volume.storage(), name)
}

/// Chooses the name, which no volume has.
async fn choose(cx: &Cx, task: &mut VolumeImport) -> Result<(), Error> {
    let storage = cx.node.storage(task.volume.storage()).await?;
    storage.activate().await?;
    if storage.stat(task.volume.name()).await?.is_some() {
        let taken = &task.volume;
        if !task.rules.may_rename {
            return Err(Error::conflict(format!("volume '{taken}' already exists")));
        }
        let other = other_name(&*storage, task).await?;
        let text = format!("volume '{taken}' already exists: importing as '{other}'");
        cx.log(&text).await;
        task.volume = other;
    }
    task.is_new = true;
    Ok(())
}

#[async_trait]
impl Step<VolumeImport> for Take {
    fn name(&self) -> &'static str {
        "take"
    }

    async fn plan(&self, cx: &Cx, task: &mut VolumeImport) -> Result<(), Error> {
        let planned = choose(cx, task).await;
        // Nothing is undone of what was only planned, and the caller waits for the stream's end.
        planned.inspect_err(|_| cx.node.streams.forget(&task.stream))
    }

    async fn probe(&self, _: &Cx, _: &mut VolumeImport) -> Result<Probe, Error> {
        // One that was cut off is not whole.
        Ok(Probe::NotDone)
    }

    async fn act(&self, cx: &Cx, task: &mut VolumeImport) -> Result<(), Error> {
        let stream = cx.node.streams.take(&task.stream)?;
        let mut reader = Reader::new(stream);
        let (volume, stream_format) = (&task.volume, task.stream_format);
        cx.log(&format!("importing '{volume}' from {stream_format}"))
            .await;
        let Some(format) = task.format else {
            return streams::take_tree(cx, &mut reader, volume).await;
        };
        let progress = Progress::new(cx, volume);
        let image = (volume, format);
        task.sum = streams::take_image(cx, &mut reader, image, stream_format, progress).await?;
        Ok(())
    }

    async fn undo(&self, cx: &Cx, task: &VolumeImport) -> Result<(), Error> {
        cx.node.streams.forget(&task.stream);
        if !task.is_new {
            return Ok(());
        }
        streams::clear(cx).await?;
        images::let_go(cx, &task.volume, None).await?;
        match cx.node.storage(task.volume.storage()).await {
            Ok(storage) => Ok(storage.free(task.volume.name()).await.map(drop)?),
            // A storage that is no more has no volumes to be removed.
            Err(error) if error.kind == model::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// Reads what was written, for a caller who is about to remove the original or has no other proof.
struct Verify;

#[async_trait]
impl Step<VolumeImport> for Verify {
    fn name(&self) -> &'static str {
        "verify"
    }

    async fn act(&self, cx: &Cx, task: &mut VolumeImport) -> Result<(), Error> {
        let Some((sum, bytes)) = task.sum.as_ref().filter(|_| task.rules.verifies) else {
            return Ok(());
        };
        let volume = &task.volume;
        cx.log("holding the volume against its checksum").await;
        let found = streams::sum_of(cx, volume, *bytes).await?;
        match found == *sum {
            true => Ok(()),
            false => Err(Error::unavailable(format!(
                "'{volume}' is not what was received: its storage loses data"
            ))),
        }
    }

    async fn undo(&self, cx: &Cx, task: &VolumeImport) -> Result<(), Error> {
        streams::clear(cx).await?;
        images::let_go(cx, &task.volume, None).await
    }
}

/// Removes the snapshot that the stream was made of, and says which volume there is.
struct DropSnapshot;

#[async_trait]
impl Step<VolumeImport> for DropSnapshot {
    fn name(&self) -> &'static str {
        "drop-snapshot"
    }

    async fn act(&self, cx: &Cx, task: &mut VolumeImport) -> Result<(), Error> {
        let volume = &task.volume;
        if let Some(snapshot) = &task.rules.delete_snapshot {
            let storage = cx.node.storage(volume.storage()).await?;
            let snapshots = snapshots_of(&*storage, volume)?;
            let name = volume.name();
            if !snapshots.delete_snapshot(name, snapshot).await? {
                let text = format!("volume '{volume}' has no snapshot '{snapshot}'");
                return Err(Error::conflict(text));
            }
        }
        cx.log(&format!("volume '{volume}' is complete")).await;
        Ok(())
    }
}
