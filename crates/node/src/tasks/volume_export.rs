//! Sends a volume into the stream of a caller. Nothing is changed.

use async_trait::async_trait;
use model::{Error, VmId, VolumeId};
use serde::{Deserialize, Serialize};
use storage::{ContentType, StreamFormat};
use tasks::{Probe, Step, Steps, Task, TaskContext};

use super::guest_object;
use super::volume_copy::check_still;
use crate::NodeContext;
use crate::volumes::streams::{self, Progress};
use crate::volumes::{images, info_of};

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct VolumeExport {
    volume: VolumeId,
    /// The guest that it is of; it is not started meanwhile.
    owner: Option<VmId>,
    format: StreamFormat,
    /// Where it is sent, in the node's streams.
    stream: String,
}

impl VolumeExport {
    pub fn new(
        volume: VolumeId,
        owner: Option<VmId>,
        format: StreamFormat,
        stream: String,
    ) -> Self {
        Self {
            volume,
            owner,
            format,
            stream,
        }
    }
}

impl Task for VolumeExport {
    type Node = NodeContext;
    const NAME: &'static str = "volume_export";
    const VERSION: u32 = 1;
    const KIND: &'static str = "imgexport";

    fn steps() -> Steps<Self> {
        Steps {
            before: &[&Send],
            after: &[],
        }
    }

    fn object(&self) -> Option<String> {
        Some(match self.owner {
            Some(owner) => guest_object(owner),
            None => format!("volume/{}", self.volume),
        })
    }
}

type Cx = TaskContext<NodeContext>;

struct Send;

#[async_trait]
impl Step<VolumeExport> for Send {
    fn name(&self) -> &'static str {
        "send"
    }

    async fn plan(&self, cx: &Cx, task: &mut VolumeExport) -> Result<(), Error> {
        let still = check_still(cx, &task.volume, task.owner).await;
        // Nothing is undone of what was only planned, and the caller waits for the stream's end.
        still.inspect_err(|_| cx.node.streams.forget(&task.stream))
    }

    async fn probe(&self, _: &Cx, _: &mut VolumeExport) -> Result<Probe, Error> {
        Ok(Probe::NotDone)
    }

    async fn act(&self, cx: &Cx, task: &mut VolumeExport) -> Result<(), Error> {
        let VolumeExport { volume, format, .. } = &*task;
        let stream = cx.node.streams.take(&task.stream)?;
        cx.log(&format!("exporting '{volume}' as {format}")).await;
        let storage = cx.node.storage(volume.storage()).await?;
        storage.activate().await?;
        let found = info_of(&*storage, volume).await?;
        let progress = Progress::new(cx, volume);
        match found.content {
            ContentType::Images => streams::send_image(cx, volume, *format, stream, progress).await,
            ContentType::Rootdir => {
                streams::send_tree(cx, volume, found.used, stream, progress).await
            }
            _ => streams::send_file(cx, volume, stream, progress).await,
        }
    }

    async fn undo(&self, cx: &Cx, task: &VolumeExport) -> Result<(), Error> {
        cx.node.streams.forget(&task.stream);
        streams::clear(cx).await?;
        images::let_go(cx, &task.volume, None).await
    }
}
