//! Makes a volume of an uploaded file.
//!
//! ```text
//!   receive ─ verify ─ place ┃ clear
//! ```

use std::time::Duration;

use async_trait::async_trait;
use model::{Error, VolumeId};
use serde::{Deserialize, Serialize};
use storage::Checksum;
use tasks::{Probe, Step, Steps, Task, TaskContext};

use super::volume_arrive::{Arrives, Arriving, Clear, Place, Verify};
use crate::NodeContext;

/// How long the process that wrote the file may take to close it.
const CLOSE_TIMEOUT_S: u64 = 30;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct VolumeUpload {
    /// The file, in the node's uploads.
    id: String,
    arriving: Arriving,
}

impl VolumeUpload {
    /// `id` is that of an arrival that was claimed.
    pub fn new(id: String, volume: VolumeId, checksum: Option<Checksum>) -> Self {
        Self {
            id,
            arriving: Arriving::new(volume, checksum),
        }
    }
}

impl Task for VolumeUpload {
    type Node = NodeContext;
    const NAME: &'static str = "volume_upload";
    const VERSION: u32 = 1;
    const KIND: &'static str = "imgcopy";

    fn steps() -> Steps<Self> {
        Steps {
            before: &[&Receive, &Verify, &Place],
            after: &[&Clear],
        }
    }

    fn object(&self) -> Option<String> {
        Some(self.arriving.object())
    }
}

impl Arrives for VolumeUpload {
    fn arriving(&self) -> &Arriving {
        &self.arriving
    }

    fn arriving_mut(&mut self) -> &mut Arriving {
        &mut self.arriving
    }
}

type Cx = TaskContext<NodeContext>;

/// Gives the file a name, so that it is there after a restart too.
struct Receive;

#[async_trait]
impl Step<VolumeUpload> for Receive {
    fn name(&self) -> &'static str {
        "receive"
    }

    async fn plan(&self, cx: &Cx, task: &mut VolumeUpload) -> Result<(), Error> {
        task.arriving.choose(cx, &task.id).await
    }

    async fn probe(&self, cx: &Cx, task: &mut VolumeUpload) -> Result<Probe, Error> {
        let is_here = task.arriving.recognise(cx).await?;
        Ok(if is_here { Probe::Done } else { Probe::NotDone })
    }

    async fn act(&self, cx: &Cx, task: &mut VolumeUpload) -> Result<(), Error> {
        let upload = cx.node.uploads.get(&task.id)?;
        // What is checked from here on must be what the volume will be.
        tokio::select! {
            biased;
            closed = upload.closed() => closed?,
            () = cx.clock.sleep(Duration::from_secs(CLOSE_TIMEOUT_S)) => {
                return Err(Error::unavailable("the process that received the file does not close it"));
            }
        }
        let path = task.arriving.arrived()?;
        if let Some(folder) = path.parent() {
            cx.node.host.create_dir(folder, 0o700).await?;
        }
        cx.node.host.name_file(upload.file(), path).await?;
        if !task.arriving.recognise(cx).await? {
            return Err(Error::unavailable("the arrived file has vanished"));
        }
        cx.node.uploads.forget(&task.id);
        Ok(())
    }

    async fn undo(&self, cx: &Cx, task: &VolumeUpload) -> Result<(), Error> {
        cx.node.uploads.forget(&task.id);
        task.arriving.discard(cx).await
    }
}
