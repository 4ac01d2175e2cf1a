//! Copies disk images, with a bar in the task's log.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use model::{BlockFormat, BlockSpec, Error, VolumeId};
use storage::{AttachMode, Attacher, Opened, Probed, SnapshotSpec};
use sys::{Command, Fence, SharedHost, SysError};
use tasks::TaskContext;
use tokio::sync::mpsc;

use super::attached::by_task;
use crate::NodeContext;
use crate::guests::disk_snapshots::snapshots_of;

const PROGRAM: &str = "qemu-img";

/// How long the program may compute: for anything, and for each so many bytes a second more. What
/// is compressed takes the longest, a second for some 50 MiB.
const CPU_S: u64 = 600;
const BYTES_A_CPU_SECOND: u64 = 16 << 20;

pub(crate) fn cpu_time(bytes: u64) -> Duration {
    Duration::from_secs(CPU_S + bytes / BYTES_A_CPU_SECOND)
}

/// An image that is read. It was opened once: what was found out about it is true of what is
/// copied.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    image: Opened,
    /// The snapshot inside of it to be read instead of the present.
    snapshot: Option<String>,
    /// What is attached for it.
    attached: Option<Attached>,
}

/// A volume, or one of its snapshots.
#[derive(Debug, Clone)]
struct Attached {
    volume: VolumeId,
    snapshot: Option<String>,
}

impl Source {
    /// An image of a guest, with what its name says that it is a linked clone of, attached for the
    /// task until the copy has ended.
    pub(crate) async fn of_volume(
        cx: &TaskContext<NodeContext>,
        volume: &VolumeId,
        snapshot: Option<&str>,
    ) -> Result<Self, Error> {
        let (node, by) = (&cx.node, by_task(cx));
        let attached = Attached {
            volume: volume.clone(),
            snapshot: snapshot.map(str::to_owned),
        };
        let spec = attached.attach(node, &by).await?;
        let opened = Opened::open(&node.host, &spec.image, false).await;
        let image = match opened.map_err(Error::from).and_then(whole) {
            Ok(image) => image,
            Err(error) => {
                attached.detach(node, &by).await?;
                return Err(error);
            }
        };
        Ok(Self {
            image,
            snapshot: spec.inside,
            attached: Some(attached),
        })
    }

    /// Closes the image and lets go what was attached for it.
    pub(crate) async fn close(self, cx: &TaskContext<NodeContext>) -> Result<(), Error> {
        drop(self.image);
        match self.attached {
            Some(attached) => attached.detach(&cx.node, &by_task(cx)).await,
            None => Ok(()),
        }
    }

    /// An image from elsewhere: it may not refer to any other file.
    pub(crate) async fn of_file(
        host: &SharedHost,
        path: &Path,
        format: BlockFormat,
        file: Arc<OwnedFd>,
    ) -> Result<Self, Error> {
        let failed =
            |error: SysError| Error::conflict(format!("cannot import: {}", Error::chain(&error)));
        let header = storage::header_of(host, &file, path, format).await;
        let header = header.map_err(failed)?;
        if !header.is_whole() {
            let path = path.display();
            let text = format!("cannot import '{path}': it refers to other files");
            return Err(Error::conflict(text));
        }
        Ok(Self {
            image: Opened::of(host, path, format, file).await.map_err(failed)?,
            snapshot: None,
            attached: None,
        })
    }

    pub(crate) fn image(&self) -> &Opened {
        &self.image
    }

    /// What a guest sees of it, in bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.image.virtual_size()
    }

    pub(crate) fn path(&self) -> &Path {
        self.image.path()
    }
}

/// Refuses an image whose header says that it is a linked clone, of which its name knows nothing.
fn whole(image: Opened) -> Result<Opened, Error> {
    if image.lacks_base() {
        let path = image.path().display();
        let text = format!("'{path}' refers to other files than its name says");
        return Err(Error::conflict(text));
    }
    Ok(image)
}

impl Attached {
    async fn attach(&self, node: &NodeContext, by: &Attacher) -> Result<SnapshotSpec, Error> {
        let volume = &self.volume;
        let Some(snapshot) = &self.snapshot else {
            let image = node.attach(volume, AttachMode::ReadOnly, by).await?;
            return Ok(SnapshotSpec {
                image,
                inside: None,
            });
        };
        let storage = node.storage(volume.storage()).await?;
        storage.activate().await?;
        let snapshots = snapshots_of(&*storage, volume)?;
        let attached = snapshots.attach_snapshot(volume.name(), snapshot, by).await;
        Ok(attached?)
    }

    async fn detach(&self, node: &NodeContext, by: &Attacher) -> Result<(), Error> {
        let volume = &self.volume;
        let Some(snapshot) = &self.snapshot else {
            return node.detach(volume, by).await;
        };
        let storage = node.storage(volume.storage()).await?;
        let snapshots = snapshots_of(&*storage, volume)?;
        let detached = snapshots.detach_snapshot(volume.name(), snapshot, by).await;
        Ok(detached?)
    }
}

/// Lets go what a copy that was broken off had attached.
pub(crate) async fn let_go(
    cx: &TaskContext<NodeContext>,
    volume: &VolumeId,
    snapshot: Option<&str>,
) -> Result<(), Error> {
    let attached = Attached {
        volume: volume.clone(),
        snapshot: snapshot.map(str::to_owned),
    };
    attached.detach(&cx.node, &by_task(cx)).await
}

/// Refuses a file that is not of the format that its name says.
pub(crate) async fn check_content(
    host: &SharedHost,
    file: &Arc<OwnedFd>,
    path: &Path,
    format: BlockFormat,
) -> Result<(), Error> {
    match storage::probe(host, file, path).await? {
        Probed::Image(found) if found == format => Ok(()),
        Probed::Device if format == BlockFormat::Raw => Ok(()),
        _ => Err(Error::conflict(format!(
            "'{}' is no {} image",
            path.display(),
            format.as_str()
        ))),
    }
}

/// A copy to be made.
pub(crate) struct Copying<'a> {
    /// What the task's log calls it.
    pub(crate) what: &'a str,
    /// A new image.
    pub(crate) to: &'a VolumeId,
    pub(crate) bytes: u64,
    /// How fast at most; 0 for as fast as it goes.
    pub(crate) bytes_per_s: u64,
}

/// Copies what `source` shows, durably, and closes it. What is zero is left out where the target
/// reads as zeros before. The program runs in the task's scope, so it ends with the task.
pub(crate) async fn copy(
    cx: &TaskContext<NodeContext>,
    source: Source,
    copying: Copying<'_>,
) -> Result<(), Error> {
    let by = by_task(cx);
    let target = cx.node.attach(copying.to, AttachMode::Exclusive, &by).await;
    let copied = match target {
        Ok(target) => {
            let storage = cx.node.storage(copying.to.storage()).await?;
            let is_zero = storage.new_images_are_zero(copying.to.name());
            convert(cx, &source, (&target, is_zero), &copying).await
        }
        Err(error) => Err(error),
    };
    let closed = source.close(cx).await;
    let detached = cx.node.detach(copying.to, &by).await;
    copied.and(closed).and(detached)
}

/// Compares what two images show, both of which are read whole.
pub(crate) async fn compare(
    cx: &TaskContext<NodeContext>,
    one: &VolumeId,
    other: &VolumeId,
) -> Result<(), Error> {
    let first = Source::of_volume(cx, one, None).await?;
    let second = match Source::of_volume(cx, other, None).await {
        Ok(second) => second,
        Err(error) => {
            first.close(cx).await?;
            return Err(error);
        }
    };
    let cpu = cpu_time(first.bytes());
    let fence = second
        .image
        .inside(first.image.inside(Fence::new(Some(cpu))));
    let images = [first.image.filename(), second.image.filename()];
    let arguments = ["compare", "-q", &images[0], &images[1]];
    let command = Command::new(PROGRAM).args(arguments).fence(fence);
    let ended = cx.run(command.timeout(None)).await;
    let closed = first.close(cx).await;
    second.close(cx).await?;
    closed?;
    match ended? {
        // Source: qemu-img(1).
        ended if ended.code == Some(1) => Err(Error::unavailable(format!(
            "'{other}' is not what '{one}' is: one of the two storages loses data"
        ))),
        ended => Ok(ended.checked(PROGRAM).map(drop)?),
    }
}

/// Refuses an image whose tables are wrong, as are those of one that was cut.
pub(crate) async fn check_image(
    cx: &TaskContext<NodeContext>,
    source: &Source,
) -> Result<(), Error> {
    let image = &source.image;
    let fence = image.inside(Fence::new(Some(cpu_time(source.bytes()))));
    let arguments = ["check", "-q", &image.filename()];
    let command = Command::new(PROGRAM).args(arguments).fence(fence);
    match cx.run(command.timeout(None)).await? {
        // Source: qemu-img(1). Clusters that nothing refers to take space and do no harm.
        ended if matches!(ended.code, Some(0 | 3)) => Ok(()),
        ended => Err(Error::conflict(format!(
            "'{}' is damaged or was cut off: {}",
            source.path().display(),
            ended.complaint()
        ))),
    }
}

async fn convert(
    cx: &TaskContext<NodeContext>,
    source: &Source,
    (target, is_zero): (&BlockSpec, bool),
    copying: &Copying<'_>,
) -> Result<(), Error> {
    let Copying { what, bytes, .. } = *copying;
    let target = Opened::open(&cx.node.host, target, true).await?;
    let cpu = cpu_time(bytes);
    let fence = target.inside(source.image.inside(Fence::new(Some(cpu))));
    let (listener, heard) = mpsc::unbounded_channel();
    let command = Command::new(PROGRAM)
        .args(arguments(source, &target, is_zero, copying.bytes_per_s))
        .fence(fence)
        .timeout(None)
        .heard_by(listener);
    let (ended, ()) = tokio::join!(cx.run(command), show(cx, what, heard, bytes));
    match ended?.checked(PROGRAM) {
        Ok(_) => Ok(()),
        Err(error) if is_full(&error) => Err(Error::unavailable(format!(
            "{what}: no space left on the target storage"
        ))),
        Err(error) => Err(error.into()),
    }
}

fn arguments(source: &Source, target: &Opened, is_zero: bool, bytes_per_s: u64) -> Vec<String> {
    let mut arguments = ["convert", "-p", "-n", "-t", "writeback"]
        .map(str::to_owned)
        .to_vec();
    if is_zero {
        arguments.push("--target-is-zero".to_owned());
    }
    if bytes_per_s > 0 {
        arguments.extend(["-r".to_owned(), bytes_per_s.to_string()]);
    }
    if let Some(snapshot) = &source.snapshot {
        // The content of a snapshot does not change, even while the image is open.
        let name = format!("snapshot.name={snapshot}");
        arguments.extend(["-U".to_owned(), "-l".to_owned(), name]);
    }
    let format = target.format().as_str().to_owned();
    arguments.extend(["-O".to_owned(), format]);
    arguments.extend([source.image.filename(), target.filename()]);
    arguments
}

fn is_full(error: &SysError) -> bool {
    error.to_string().contains("No space left on device")
}

/// Turns the program's progress into lines of the log, one for each percent at most.
async fn show(
    cx: &TaskContext<NodeContext>,
    what: &str,
    mut heard: mpsc::UnboundedReceiver<Vec<u8>>,
    bytes: u64,
) {
    let mut shown = None;
    while let Some(part) = heard.recv().await {
        let Some(percent) = last_percent(&String::from_utf8_lossy(&part)) else {
            continue;
        };
        if shown != Some(percent as u64) {
            shown = Some(percent as u64);
            let done = (bytes as f64 * percent / 100.0) as u64;
            cx.progress(what, done, bytes).await;
        }
    }
}

/// The last figure in what `qemu-img -p` prints: `    (12.34/100%)\r`.
fn last_percent(printed: &str) -> Option<f64> {
    let (before, _) = printed.rsplit_once("/100%)")?;
    before.rsplit_once('(')?.1.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use testkit::{FakeHost, Faults};

    use super::*;

    #[test]
    fn the_last_figure_counts() {
        assert_eq!(
            last_percent("    (1.00/100%)\r    (2.50/100%)\r"),
            Some(2.5)
        );
        assert_eq!(last_percent("    (100.00/100%)\r\n"), Some(100.0));
        assert_eq!(last_percent("qemu-img: warning"), None);
    }

    #[tokio::test]
    async fn a_snapshot_may_be_read_while_the_image_is_in_use() {
        let host: SharedHost = Arc::new(FakeHost::new(Faults::default()));
        let mut opened = Vec::new();
        for path in ["/a.raw", "/b.raw"] {
            host.write(path.as_ref(), b"", 0o600).await.unwrap();
            let file = host.open_image(path.as_ref(), false, false).await.unwrap();
            let image = Opened::of(&host, path.as_ref(), BlockFormat::Raw, file).await;
            opened.push(image.unwrap());
        }
        let target = opened.pop().unwrap();
        let mut source = Source {
            image: opened.pop().unwrap(),
            snapshot: None,
            attached: None,
        };
        let plain = arguments(&source, &target, true, 0).join(" ");
        assert_eq!(
            plain,
            "convert -p -n -t writeback --target-is-zero -O raw \
             json:{\"driver\":\"raw\",\"file\":{\"driver\":\"file\",\"filename\":\"/a.raw\"}} \
             json:{\"driver\":\"raw\",\"file\":{\"driver\":\"file\",\"filename\":\"/b.raw\"}}"
        );
        source.snapshot = Some("one".to_owned());
        let of_snapshot = arguments(&source, &target, false, 4096).join(" ");
        assert!(
            of_snapshot.contains("-t writeback -r 4096 -U -l snapshot.name=one -O"),
            "{of_snapshot}"
        );
    }
}
