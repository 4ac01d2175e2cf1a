//! Makes a file that people bring of what comes in a caller's stream. What is there is not replaced.

use async_trait::async_trait;
use model::{Error, VolumeId};
use serde::{Deserialize, Serialize};
use tasks::{Probe, Step, Steps, Task, TaskContext};

use super::volume_arrive::{Arrives, Arriving, Clear, Place, Verify};
use crate::NodeContext;
use crate::volumes::streams::{self, Progress, Reader};

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct VolumeImportFile {
    arriving: Arriving,
    /// Where it comes from, in the node's streams.
    stream: String,
}

impl VolumeImportFile {
    pub fn new(volume: VolumeId, stream: String) -> Self {
        Self {
            arriving: Arriving::new(volume, None).sparing(),
            stream,
        }
    }
}

impl Task for VolumeImportFile {
    type Node = NodeContext;
    const NAME: &'static str = "volume_import_file";
    const VERSION: u32 = 1;
    const KIND: &'static str = "imgimport";

    fn steps() -> Steps<Self> {
        Steps {
            before: &[&Take, &Verify, &Place],
            after: &[&Clear],
        }
    }

    fn object(&self) -> Option<String> {
        Some(self.arriving.object())
    }
}

impl Arrives for VolumeImportFile {
    fn arriving(&self) -> &Arriving {
        &self.arriving
    }

    fn arriving_mut(&mut self) -> &mut Arriving {
        &mut self.arriving
    }
}

type Cx = TaskContext<NodeContext>;

struct Take;

#[async_trait]
impl Step<VolumeImportFile> for Take {
    fn name(&self) -> &'static str {
        "take"
    }

    async fn plan(&self, cx: &Cx, task: &mut VolumeImportFile) -> Result<(), Error> {
        let mut planned = task.arriving.choose(cx, &cx.job_id("import")).await;
        if planned.is_ok() {
            planned = task.arriving.refuse_existing(cx).await;
        }
        // Nothing is undone of what was only planned, and the caller waits for the stream's end.
        planned.inspect_err(|_| cx.node.streams.forget(&task.stream))
    }

    async fn probe(&self, _: &Cx, _: &mut VolumeImportFile) -> Result<Probe, Error> {
        // One that was cut off is not whole.
        Ok(Probe::NotDone)
    }

    async fn act(&self, cx: &Cx, task: &mut VolumeImportFile) -> Result<(), Error> {
        let stream = cx.node.streams.take(&task.stream)?;
        let volume = &task.arriving.volume;
        cx.log(&format!("importing '{volume}'")).await;
        let path = task.arriving.arrived()?;
        if let Some(folder) = path.parent() {
            cx.node.host.create_dir(folder, 0o700).await?;
        }
        let progress = Progress::new(cx, volume);
        let mut reader = Reader::new(stream);
        streams::take_file(cx, &mut reader, volume.storage(), path, progress).await?;
        match task.arriving.recognise(cx).await? {
            true => Ok(()),
            false => Err(Error::unavailable("the received file has vanished")),
        }
    }

    async fn undo(&self, cx: &Cx, task: &VolumeImportFile) -> Result<(), Error> {
        cx.node.streams.forget(&task.stream);
        task.arriving.discard(cx).await
    }
}
