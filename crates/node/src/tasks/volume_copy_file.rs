//! Copies a file that people have brought to another storage, or under another name. What is there is
//! not replaced.

use std::path::Path;

use async_trait::async_trait;
use model::{Error, VolumeId};
use serde::{Deserialize, Serialize};
use storage::{Checksum, ChecksumAlgorithm, Hasher};
use tasks::{Probe, Step, Steps, Task, TaskContext};

use super::volume_arrive::{Arrives, Arriving, Clear, Place, Verify};
use crate::NodeContext;

/// Read at a time.
const CHUNK: usize = 1 << 20;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct VolumeCopyFile {
    from: VolumeId,
    arriving: Arriving,
}

impl VolumeCopyFile {
    pub fn new(from: VolumeId, to: VolumeId) -> Self {
        Self {
            from,
            arriving: Arriving::new(to, None).sparing(),
        }
    }
}

impl Task for VolumeCopyFile {
    type Node = NodeContext;
    const NAME: &'static str = "volume_copy_file";
    const VERSION: u32 = 1;
    const KIND: &'static str = "imgcopy";

    fn steps() -> Steps<Self> {
        Steps {
            before: &[&CopyFile, &Verify, &Place],
            after: &[&Clear],
        }
    }

    fn object(&self) -> Option<String> {
        Some(self.arriving.object())
    }

    fn other_objects(&self) -> Vec<String> {
        vec![format!("volume/{}", self.from)]
    }
}

impl Arrives for VolumeCopyFile {
    fn arriving(&self) -> &Arriving {
        &self.arriving
    }

    fn arriving_mut(&mut self) -> &mut Arriving {
        &mut self.arriving
    }
}

type Cx = TaskContext<NodeContext>;

/// Copies the bytes, and remembers what they come to: `verify` reads the copy again.
struct CopyFile;

#[async_trait]
impl Step<VolumeCopyFile> for CopyFile {
    fn name(&self) -> &'static str {
        "copy"
    }

    async fn plan(&self, cx: &Cx, task: &mut VolumeCopyFile) -> Result<(), Error> {
        task.arriving.choose(cx, &cx.job_id("copy")).await?;
        task.arriving.refuse_existing(cx).await
    }

    async fn probe(&self, _: &Cx, _: &mut VolumeCopyFile) -> Result<Probe, Error> {
        // One that was cut off is not known to be whole.
        Ok(Probe::NotDone)
    }

    async fn act(&self, cx: &Cx, task: &mut VolumeCopyFile) -> Result<(), Error> {
        let (from, to) = (&task.from, &task.arriving.volume);
        cx.log(&format!("copying '{from}' to '{to}'")).await;
        let storage = cx.node.storage(from.storage()).await?;
        storage.activate().await?;
        let source = storage.path(from.name())?;
        let sum = copy(cx, from, &source, task.arriving.arrived()?).await?;
        task.arriving.checksum = Some(Checksum {
            algorithm: ChecksumAlgorithm::Sha256,
            expected: sum,
        });
        match task.arriving.recognise(cx).await? {
            true => Ok(()),
            false => Err(Error::unavailable("the copied file has vanished")),
        }
    }

    async fn undo(&self, cx: &Cx, task: &VolumeCopyFile) -> Result<(), Error> {
        task.arriving.discard(cx).await
    }
}

/// Copies a file durably; answers its checksum.
async fn copy(cx: &Cx, what: &VolumeId, from: &Path, to: &Path) -> Result<String, Error> {
    let host = &cx.node.host;
    let source = host.open_image(from, false, false).await?;
    let total = host.measure(&source, from).await?.bytes;
    if let Some(folder) = to.parent() {
        host.create_dir(folder, 0o700).await?;
    }
    host.write(to, b"", 0o644).await?;
    let target = host.open_image(to, true, false).await?;
    let mut hasher = Hasher::new(ChecksumAlgorithm::Sha256);
    let (mut at, mut percent) = (0, 0);
    loop {
        let chunk = host.read_at(&source, from, at, CHUNK).await?;
        if chunk.is_empty() {
            break;
        }
        hasher.update(&chunk);
        let length = chunk.len() as u64;
        host.write_at(&target, to, at, chunk).await?;
        at += length;
        if at * 100 / total.max(1) > percent {
            percent = at * 100 / total.max(1);
            cx.progress(&what.to_string(), at, total).await;
        }
    }
    host.sync(to).await?;
    Ok(hasher.finish())
}
