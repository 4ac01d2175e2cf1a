//! Makes an image or a directory of a guest of what comes in a caller's stream.
//!
//! ```text
//!   read-header ─ take ─ verify ─ drop-snapshot ┃ report
//!                                               ┃ point of no return: there is another volume
//! ```
//!
//! The header may be long in coming. The name is chosen only then, and the volume is made at once.

use async_trait::async_trait;
use model::{BlockFormat, Error, ErrorKind, VmId, VolumeId};
use serde::{Deserialize, Serialize};
use storage::{Storage, StorageError, StreamFormat, import_complete};
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
    /// What the stream's header says.
    #[serde(default)]
    size: Option<u64>,
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
            size: None,
            is_new: false,
            sum: None,
        }
    }
}

impl Task for VolumeImport {
    type Node = NodeContext;
    const NAME: &'static str = "volume_import";
    const VERSION: u32 = 2;
    const KIND: &'static str = "imgimport";

    fn steps() -> Steps<Self> {
        Steps {
            before: &[&ReadHeader, &Take, &Verify, &DropSnapshot],
            after: &[&Report],
        }
    }

    /// Names of a guest's volumes are chosen by who holds the guest.
    fn object(&self) -> Option<String> {
        Some(guest_object(self.owner))
    }
}

type Cx = TaskContext<NodeContext>;

/// Refuses a volume of a guest of another node: that node chooses the names of its volumes.
async fn check_here(cx: &Cx, task: &VolumeImport) -> Result<(), Error> {
    let Some(guest) = cx.node.records.find(task.owner).await? else {
        return Ok(());
    };
    let guest = guest.record.data;
    if guest.node == cx.node.name {
        return Ok(());
    }
    let (volume, word, owner, node) = (&task.volume, guest.kind.word(), task.owner, &guest.node);
    Err(Error::conflict(format!(
        "'{volume}' is of {word} {owner}, which is on node '{node}': import it there"
    )))
}

/// Whether there is a volume of the wanted name, which is refused unless another may be chosen.
async fn is_taken(storage: &dyn Storage, task: &VolumeImport) -> Result<bool, Error> {
    let taken = &task.volume;
    let is_taken = storage.stat(taken.name()).await?.is_some();
    match is_taken && !task.rules.may_rename {
        true => Err(Error::conflict(format!("volume '{taken}' already exists"))),
        false => Ok(is_taken),
    }
}

/// Reads how large the volume will be, however long that takes.
struct ReadHeader;

impl ReadHeader {
    async fn check(cx: &Cx, task: &VolumeImport) -> Result<(), Error> {
        check_here(cx, task).await?;
        let storage = cx.node.storage(task.volume.storage()).await?;
        storage.activate().await?;
        is_taken(&*storage, task).await.map(drop)
    }
}

#[async_trait]
impl Step<VolumeImport> for ReadHeader {
    fn name(&self) -> &'static str {
        "read-header"
    }

    async fn plan(&self, cx: &Cx, task: &mut VolumeImport) -> Result<(), Error> {
        let checked = Self::check(cx, task).await;
        // Nothing is undone of what was only planned, and the caller waits for the stream's end.
        checked.inspect_err(|_| cx.node.streams.forget(&task.stream))
    }

    async fn act(&self, cx: &Cx, task: &mut VolumeImport) -> Result<(), Error> {
        let stream = cx.node.streams.take(&task.stream)?;
        let mut reader = Reader::new(stream);
        let (volume, stream_format) = (&task.volume, task.stream_format);
        cx.log(&format!("importing '{volume}' from {stream_format}"))
            .await;
        let size = streams::size_of(&mut reader).await?;
        if task.format.is_some() {
            streams::check_image_size(stream_format, size)?;
        }
        task.size = Some(size);
        cx.node.streams.keep(&task.stream, reader);
        Ok(())
    }

    async fn undo(&self, cx: &Cx, task: &VolumeImport) -> Result<(), Error> {
        cx.node.streams.forget(&task.stream);
        Ok(())
    }
}

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

/// Makes the empty volume. Where there is one by now, or something that is none, it is not ours: then
/// nothing is removed.
async fn make(cx: &Cx, task: &mut VolumeImport) -> Result<(), Error> {
    let missing = || Error::bug("the size of the volume is not known");
    let size = task.size.ok_or_else(missing)?;
    let (volume, name) = (&task.volume, task.volume.name());
    let storage = cx.node.storage(volume.storage()).await?;
    let made = match (task.format, storage.trees()) {
        (Some(format), _) => storage.allocate(name, format, size).await,
        (None, Some(trees)) => trees.create_tree(name, size, (0, 0)).await,
        (None, None) => {
            let text = format!("storage '{}' has no directories", volume.storage());
            return Err(Error::conflict(text));
        }
    };
    if matches!(made, Err(StorageError::Exists { .. })) {
        task.is_new = false;
    }
    Ok(made?)
}

#[async_trait]
impl Step<VolumeImport> for Take {
    fn name(&self) -> &'static str {
        "take"
    }

    /// Chooses the name, which no volume has.
    async fn plan(&self, cx: &Cx, task: &mut VolumeImport) -> Result<(), Error> {
        check_here(cx, task).await?;
        let storage = cx.node.storage(task.volume.storage()).await?;
        storage.activate().await?;
        if is_taken(&*storage, task).await? {
            let other = other_name(&*storage, task).await?;
            let taken = &task.volume;
            let text = format!("volume '{taken}' already exists: importing as '{other}'");
            cx.log(&text).await;
            task.volume = other;
        }
        task.is_new = true;
        Ok(())
    }

    async fn probe(&self, _: &Cx, _: &mut VolumeImport) -> Result<Probe, Error> {
        // One that was cut off is not whole.
        Ok(Probe::NotDone)
    }

    async fn act(&self, cx: &Cx, task: &mut VolumeImport) -> Result<(), Error> {
        let mut reader = cx.node.streams.go_on(&task.stream)?;
        make(cx, task).await?;
        let volume = &task.volume;
        let (Some(format), Some(size)) = (task.format, task.size) else {
            return streams::take_tree(cx, &mut reader, volume).await;
        };
        let progress = Progress::new(cx, volume);
        let (image, stream) = ((volume, format), (task.stream_format, size));
        task.sum = streams::take_image(cx, &mut reader, image, stream, progress).await?;
        Ok(())
    }

    async fn undo(&self, cx: &Cx, task: &VolumeImport) -> Result<(), Error> {
        if !task.is_new {
            return Ok(());
        }
        streams::clear(cx).await?;
        images::let_go(cx, &task.volume, None).await?;
        match cx.node.storage(task.volume.storage()).await {
            Ok(storage) => Ok(storage.free(task.volume.name()).await.map(drop)?),
            // A storage that is no more has no volumes to be removed.
            Err(error) if error.kind == ErrorKind::NotFound => Ok(()),
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

/// Removes the snapshot that the stream was made of.
struct DropSnapshot;

#[async_trait]
impl Step<VolumeImport> for DropSnapshot {
    fn name(&self) -> &'static str {
        "drop-snapshot"
    }

    async fn act(&self, cx: &Cx, task: &mut VolumeImport) -> Result<(), Error> {
        let Some(snapshot) = &task.rules.delete_snapshot else {
            return Ok(());
        };
        let volume = &task.volume;
        let storage = cx.node.storage(volume.storage()).await?;
        let snapshots = snapshots_of(&*storage, volume)?;
        match snapshots.delete_snapshot(volume.name(), snapshot).await? {
            true => Ok(()),
            false => {
                let text = format!("volume '{volume}' has no snapshot '{snapshot}'");
                Err(Error::conflict(text))
            }
        }
    }
}

/// Says which volume there is, once it stays.
struct Report;

#[async_trait]
impl Step<VolumeImport> for Report {
    fn name(&self) -> &'static str {
        "report"
    }

    async fn act(&self, cx: &Cx, task: &mut VolumeImport) -> Result<(), Error> {
        cx.log(&import_complete(&task.volume.to_string())).await;
        Ok(())
    }
}
