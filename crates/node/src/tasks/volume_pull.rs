//! Makes a template of an image in an OCI registry.
//!
//! ```text
//!   pull ─ verify ─ place ┃ clear
//! ```

use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::Duration;

use async_trait::async_trait;
use model::{Error, VolumeId};
use serde::{Deserialize, Serialize};
use sys::{FileKind, Output, SysError};
use tasks::{Probe, Step, Steps, Task, TaskContext};
use tokio::sync::mpsc;

use super::volume_arrive::{Arrives, Arriving, Clear, Place, Verify};
use crate::NodeContext;
use crate::host::registry::{complaint, named, silent};

/// The archive inside of the fence.
const ARCHIVE: &str = "/image.tar";

/// How often what has come is looked at, and how long nothing may come.
const LOOK: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_secs(120);

/// How long a pull may take, whatever comes.
const LONGEST: Duration = Duration::from_secs(12 * 3600);

/// How deep the program's own folders are looked into.
const DEPTH: usize = 6;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct VolumePull {
    reference: String,
    arriving: Arriving,
}

impl VolumePull {
    pub fn new(reference: String, volume: VolumeId) -> Self {
        Self {
            reference,
            arriving: Arriving::new(volume, None).sparing(),
        }
    }

    /// Where the program keeps what it has not yet put together.
    fn folder(&self) -> Result<PathBuf, Error> {
        Ok(self.arriving.arrived()?.with_extension("d"))
    }
}

impl Task for VolumePull {
    type Node = NodeContext;
    const NAME: &'static str = "volume_pull";
    const VERSION: u32 = 1;
    const KIND: &'static str = "ociregistrypull";

    fn steps() -> Steps<Self> {
        Steps {
            before: &[&Pull, &Verify, &Place],
            after: &[&Clear],
        }
    }

    fn object(&self) -> Option<String> {
        Some(self.arriving.object())
    }
}

impl Arrives for VolumePull {
    fn arriving(&self) -> &Arriving {
        &self.arriving
    }

    fn arriving_mut(&mut self) -> &mut Arriving {
        &mut self.arriving
    }
}

type Cx = TaskContext<NodeContext>;

struct Pull;

#[async_trait]
impl Step<VolumePull> for Pull {
    fn name(&self) -> &'static str {
        "pull"
    }

    async fn plan(&self, cx: &Cx, task: &mut VolumePull) -> Result<(), Error> {
        task.arriving.choose(cx, &cx.job_id("pull")).await?;
        task.arriving.look(cx).await
    }

    async fn probe(&self, _: &Cx, _: &mut VolumePull) -> Result<Probe, Error> {
        // A part of an image is not told from a whole one.
        Ok(Probe::NotDone)
    }

    async fn act(&self, cx: &Cx, task: &mut VolumePull) -> Result<(), Error> {
        let (archive, folder) = (task.arriving.arrived()?.to_owned(), task.folder()?);
        let host = &cx.node.host;
        host.remove_tree(&folder).await?;
        host.create_dir(&folder, 0o700).await?;
        host.write(&archive, b"", 0o644).await?;
        cx.log(&format!(
            "pulling {} to {}",
            task.reference, task.arriving.volume
        ))
        .await;
        pull(cx, task, &archive, &folder).await?;
        host.sync(&archive).await?;
        host.remove_tree(&folder).await?;
        if !task.arriving.recognise(cx).await? {
            return Err(Error::unavailable("the image has vanished"));
        }
        Ok(())
    }

    async fn undo(&self, cx: &Cx, task: &VolumePull) -> Result<(), Error> {
        if let Ok(folder) = task.folder() {
            cx.node.host.remove_tree(&folder).await?;
        }
        task.arriving.discard(cx).await
    }
}

async fn pull(cx: &Cx, task: &VolumePull, archive: &Path, folder: &Path) -> Result<(), Error> {
    let file = cx.node.host.open_image(archive, true, false).await?;
    let (listener, heard) = mpsc::unbounded_channel();
    let options = cx.node.records.cluster_options().await?;
    let mut command = cx.node.skopeo(options.http_proxy()).await?;
    command.fence = command
        .fence
        .map(|fence| fence.file(ARCHIVE, file, true).folder(folder));
    let command = command
        .args(["--tmpdir".to_owned(), folder.display().to_string()])
        .args(["copy".to_owned(), named(&task.reference)])
        .arg(format!("oci-archive:{ARCHIVE}"))
        .timeout(Some(LONGEST))
        .heard_by(listener);
    let ended = async { tokio::join!(cx.run(command), show(cx, heard)).0 };
    let ended = while_it_comes(cx, archive, folder, ended).await?;
    let ended = ended.map_err(|error| match error {
        SysError::ProgramMissing { .. } => {
            Error::conflict("Install 'skopeo' to pull images from OCI registries.")
        }
        SysError::ProgramTimeout { after, .. } => {
            let after = after.as_secs();
            Error::unavailable(format!("the image was not here within {after} s"))
        }
        error => error.into(),
    })?;
    match ended.success() {
        true => Ok(()),
        false => Err(Error::unavailable(complaint(&ended))),
    }
}

/// Waits for the program as long as files grow. One that is given up is killed with the task's scope.
async fn while_it_comes(
    cx: &Cx,
    archive: &Path,
    folder: &Path,
    ended: impl Future<Output = Result<Output, SysError>>,
) -> Result<Result<Output, SysError>, Error> {
    let mut ended = pin!(ended);
    let (mut had, mut waited) = (0, Duration::ZERO);
    loop {
        tokio::select! {
            biased;
            ended = &mut ended => return Ok(ended),
            () = cx.clock.sleep(LOOK) => {}
        }
        let here = cx
            .node
            .host
            .stat(archive)
            .await?
            .map_or(0, |entry| entry.size);
        let here = here + bytes_in(cx, folder).await?;
        waited = if here == had {
            waited + LOOK
        } else {
            Duration::ZERO
        };
        had = here;
        if waited >= PATIENCE {
            return Err(silent(PATIENCE));
        }
    }
}

/// The bytes of all files below a folder; what is gone meanwhile does not count.
async fn bytes_in(cx: &Cx, folder: &Path) -> Result<u64, Error> {
    let mut folders = vec![(folder.to_owned(), 0)];
    let mut bytes = 0;
    while let Some((folder, depth)) = folders.pop() {
        for entry in cx.node.host.list(&folder).await? {
            match entry.kind {
                FileKind::Directory if depth < DEPTH => {
                    folders.push((folder.join(&entry.name), depth + 1));
                }
                _ => bytes += entry.size,
            }
        }
    }
    Ok(bytes)
}

/// Logs what the program says of its progress.
async fn show(cx: &Cx, mut heard: mpsc::UnboundedReceiver<Vec<u8>>) {
    let mut begun = String::new();
    while let Some(part) = heard.recv().await {
        begun.push_str(&String::from_utf8_lossy(&part));
        while let Some((line, rest)) = begun.split_once('\n') {
            cx.log(line.trim_end()).await;
            begun = rest.to_owned();
        }
    }
}
