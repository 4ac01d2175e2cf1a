//! Copies disk images, with a bar in the task's log.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use model::{BlockFormat, BlockSpec, Error};
use storage::{Opened, Probed, Storage};
use sys::{Command, Fence, SharedHost, SysError};
use tasks::TaskContext;
use tokio::sync::mpsc;

use crate::NodeContext;
use crate::qemu::drives;

const PROGRAM: &str = "qemu-img";

/// How long the program may compute: for anything, and for each so many bytes a second more. What
/// is compressed takes the longest, a second for some 50 MiB.
const CPU_S: u64 = 600;
const BYTES_A_CPU_SECOND: u64 = 16 << 20;

/// An image that is read. It was opened once: what was found out about it is true of what is
/// copied.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    image: Opened,
    /// The internal snapshot to be read instead of the present.
    snapshot: Option<String>,
}

impl Source {
    /// An image of a guest, with what its name says that it is a layer on.
    pub(crate) async fn of_volume(
        host: &SharedHost,
        storage: &dyn Storage,
        name: &str,
        snapshot: Option<&str>,
    ) -> Result<Self, Error> {
        let spec = drives::with_layers(storage, name, true).await?;
        let image = Opened::open(host, &spec, false).await?;
        if image.lacks_base() {
            let path = image.path().display();
            let text = format!("'{path}' refers to other files than its name says");
            return Err(Error::conflict(text));
        }
        Ok(Self {
            image,
            snapshot: snapshot.map(str::to_owned),
        })
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
        })
    }

    /// What a guest sees of it, in bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.image.virtual_size()
    }

    pub(crate) fn path(&self) -> &Path {
        self.image.path()
    }
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

/// Copies what `source` shows into a new image that reads as zeros, durably, so fast at most (0: as
/// fast as it goes). Whatever is left out is a hole. The program runs in the task's scope, so it
/// ends with the task.
pub(crate) async fn copy(
    cx: &TaskContext<NodeContext>,
    what: &str,
    source: &Source,
    target: &BlockSpec,
    bytes: u64,
    bytes_per_s: u64,
) -> Result<(), Error> {
    let target = Opened::open(&cx.node.host, target, true).await?;
    let cpu = Duration::from_secs(CPU_S + bytes / BYTES_A_CPU_SECOND);
    let fence = target.inside(source.image.inside(Fence::new(Some(cpu))));
    let (listener, heard) = mpsc::unbounded_channel();
    let command = Command::new(PROGRAM)
        .args(arguments(source, &target, bytes_per_s))
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

fn arguments(source: &Source, target: &Opened, bytes_per_s: u64) -> Vec<String> {
    let mut arguments: Vec<String> = ["convert", "-p", "-n", "--target-is-zero", "-t", "writeback"]
        .map(str::to_owned)
        .to_vec();
    if bytes_per_s > 0 {
        arguments.extend(["-r".to_owned(), bytes_per_s.to_string()]);
    }
    if let Some(snapshot) = &source.snapshot {
        // What a snapshot shows stays as it is, whoever has the image open.
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
        };
        let plain = arguments(&source, &target, 0).join(" ");
        assert_eq!(
            plain,
            "convert -p -n --target-is-zero -t writeback -O raw \
             json:{\"driver\":\"raw\",\"file\":{\"driver\":\"file\",\"filename\":\"/a.raw\"}} \
             json:{\"driver\":\"raw\",\"file\":{\"driver\":\"file\",\"filename\":\"/b.raw\"}}"
        );
        source.snapshot = Some("one".to_owned());
        let of_snapshot = arguments(&source, &target, 4096).join(" ");
        assert!(
            of_snapshot.contains("-r 4096 -U -l snapshot.name=one -O"),
            "{of_snapshot}"
        );
    }
}
