//! Makes a volume of a file on the web.
//!
//! ```text
//!   fetch ─ verify ─ place ┃ clear
//! ```

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use model::{Error, VolumeId};
use serde::{Deserialize, Serialize};
use storage::Checksum;
use tasks::{Probe, Step, Steps, Task, TaskContext};

use super::volume_arrive::{Arrives, Arriving, Clear, Place, Verify};
use crate::NodeContext;
use crate::host::fetch::{Fetched, SYSTEM_ROOTS, Trust, fetch, shown};

/// Written at a time.
const BLOCK: usize = 256 * 1024;

/// A line in the log every so many hundredths.
const PROGRESS_PERCENT: u64 = 5;

/// And where the server does not say how much there is, every so many bytes.
const PROGRESS_BYTES: u64 = 256 << 20;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct VolumeDownload {
    url: String,
    verify_certificates: bool,
    arriving: Arriving,
}

impl VolumeDownload {
    pub fn new(
        url: String,
        verify_certificates: bool,
        volume: VolumeId,
        checksum: Option<Checksum>,
    ) -> Self {
        Self {
            url,
            verify_certificates,
            arriving: Arriving::new(volume, checksum).sparing(),
        }
    }
}

impl Task for VolumeDownload {
    type Node = NodeContext;
    const NAME: &'static str = "volume_download";
    const VERSION: u32 = 1;
    const KIND: &'static str = "download";

    fn steps() -> Steps<Self> {
        Steps {
            before: &[&Fetch, &Verify, &Place],
            after: &[&Clear],
        }
    }

    fn object(&self) -> Option<String> {
        Some(self.arriving.object())
    }
}

impl Arrives for VolumeDownload {
    fn arriving(&self) -> &Arriving {
        &self.arriving
    }

    fn arriving_mut(&mut self) -> &mut Arriving {
        &mut self.arriving
    }
}

type Cx = TaskContext<NodeContext>;

/// Fetches the file into one without a name, and names it once it is whole.
struct Fetch;

#[async_trait]
impl Step<VolumeDownload> for Fetch {
    fn name(&self) -> &'static str {
        "fetch"
    }

    async fn plan(&self, cx: &Cx, task: &mut VolumeDownload) -> Result<(), Error> {
        task.arriving.choose(cx, &cx.job_id("download")).await?;
        task.arriving.look(cx).await
    }

    async fn probe(&self, cx: &Cx, task: &mut VolumeDownload) -> Result<Probe, Error> {
        let is_here = task.arriving.is_here() || task.arriving.recognise(cx).await?;
        Ok(if is_here { Probe::Done } else { Probe::NotDone })
    }

    async fn act(&self, cx: &Cx, task: &mut VolumeDownload) -> Result<(), Error> {
        if task.arriving.is_here() {
            return Ok(());
        }
        let path = task.arriving.arrived()?;
        let folder = path.parent().unwrap_or(Path::new("/"));
        cx.node.host.create_dir(folder, 0o700).await?;
        let file = cx.node.host.create_unnamed(folder).await?;
        cx.log(&format!(
            "downloading {} to {}",
            shown(&task.url),
            task.arriving.volume
        ))
        .await;
        let trust = Trust::new(task.verify_certificates, Path::new(SYSTEM_ROOTS))?;
        let options = cx.node.records.cluster_options().await?;
        let trust = trust.through(options.http_proxy())?;
        let fetched = fetch(&task.url, &trust).await?;
        let room = cx.node.host.space(folder).await?.available;
        if fetched.length.is_some_and(|length| length > room) {
            return Err(full(task));
        }
        let file = write(cx, task, fetched, File::from(file), room).await?;
        cx.node.host.name_file(&Arc::new(file.into()), path).await?;
        if !task.arriving.recognise(cx).await? {
            return Err(Error::unavailable("the downloaded file has vanished"));
        }
        Ok(())
    }

    async fn undo(&self, cx: &Cx, task: &VolumeDownload) -> Result<(), Error> {
        task.arriving.discard(cx).await
    }
}

fn full(task: &VolumeDownload) -> Error {
    let storage = task.arriving.volume.storage();
    Error::unavailable(format!("no space left on storage '{storage}'"))
}

/// Writes the body, and logs the progress; more than `room` bytes are too much.
async fn write(
    cx: &Cx,
    task: &VolumeDownload,
    mut fetched: Fetched,
    mut file: File,
    room: u64,
) -> Result<File, Error> {
    let total = fetched.length.unwrap_or(0);
    let step = if total > 0 {
        total * PROGRESS_PERCENT / 100
    } else {
        PROGRESS_BYTES
    };
    let (mut done, mut told) = (0, 0);
    let mut block = Vec::with_capacity(BLOCK);
    loop {
        let chunk = fetched.chunk().await?;
        let is_end = chunk.is_none();
        let chunk = chunk.unwrap_or_else(Bytes::new);
        done += chunk.len() as u64;
        if done > room {
            return Err(full(task));
        }
        block.extend_from_slice(&chunk);
        if block.len() >= BLOCK || is_end {
            (file, block) = write_block(task, file, block).await?;
        }
        if done - told >= step.max(1) || (is_end && told < done) {
            told = done;
            cx.progress("downloaded", done, total.max(done)).await;
        }
        if is_end {
            return Ok(file);
        }
    }
}

async fn write_block(
    task: &VolumeDownload,
    mut file: File,
    mut block: Vec<u8>,
) -> Result<(File, Vec<u8>), Error> {
    let work = move || {
        file.write_all(&block)
            .map(|()| (file, std::mem::take(&mut block)))
    };
    let written = tokio::task::spawn_blocking(work).await;
    let written = written.map_err(|error| Error::bug(format!("writing a download: {error}")))?;
    match written {
        Ok((file, mut block)) => {
            block.clear();
            Ok((file, block))
        }
        Err(error) if error.kind() == ErrorKind::StorageFull => Err(full(task)),
        Err(error) => Err(Error::unavailable(format!(
            "cannot write the download: {error}"
        ))),
    }
}
