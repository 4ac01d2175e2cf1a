//! Copies disk images, with a bar in the task's log.

use std::path::Path;

use model::{BlockFormat, BlockSource, BlockSpec, Error};
use storage::Probed;
use sys::{Command, SharedHost, SysError};
use tasks::TaskContext;
use tokio::sync::mpsc;

use crate::World;

const PROGRAM: &str = "qemu-img";

/// An image to be read by a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Source {
    pub(crate) path: String,
    pub(crate) format: BlockFormat,
    /// The internal snapshot to be read instead of the present.
    pub(crate) snapshot: Option<String>,
}

impl Source {
    pub(crate) fn new(spec: &BlockSpec) -> Result<Self, Error> {
        Ok(Self {
            path: path(spec)?,
            format: spec.format,
            snapshot: None,
        })
    }
}

fn path(spec: &BlockSpec) -> Result<String, Error> {
    match &spec.source {
        BlockSource::Path(path) => Ok(path.clone()),
        _ => Err(Error::bug("an image to be copied has no path")),
    }
}

/// Refuses a file that is not of the format that its name says.
pub(crate) async fn check_content(
    host: &SharedHost,
    path: &Path,
    format: BlockFormat,
) -> Result<(), Error> {
    match storage::probe(host, path).await? {
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
    cx: &TaskContext<World>,
    what: &str,
    source: &Source,
    target: &BlockSpec,
    bytes: u64,
    bytes_per_s: u64,
) -> Result<(), Error> {
    let (listener, heard) = mpsc::unbounded_channel();
    let command = Command::new(PROGRAM)
        .args(arguments(source, target, bytes_per_s)?)
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

fn arguments(source: &Source, target: &BlockSpec, bytes_per_s: u64) -> Result<Vec<String>, Error> {
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
    let target_path = path(target)?;
    let formats = [source.format.as_str(), target.format.as_str()];
    arguments.extend(
        [
            "-f",
            formats[0],
            "-O",
            formats[1],
            &source.path,
            &target_path,
        ]
        .map(str::to_owned),
    );
    Ok(arguments)
}

fn is_full(error: &SysError) -> bool {
    error.to_string().contains("No space left on device")
}

/// Turns the program's progress into lines of the log, one for each percent at most.
async fn show(
    cx: &TaskContext<World>,
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

    #[test]
    fn a_snapshot_may_be_read_while_the_image_is_in_use() {
        let spec = |path: &str, format| BlockSpec {
            source: BlockSource::Path(path.to_owned()),
            format,
            read_only: false,
            can_discard: true,
            backing: None,
        };
        let mut source = Source::new(&spec("/a.qcow2", BlockFormat::Qcow2)).unwrap();
        let target = spec("/b.raw", BlockFormat::Raw);
        let plain = arguments(&source, &target, 0).unwrap().join(" ");
        assert_eq!(
            plain,
            "convert -p -n --target-is-zero -t writeback -f qcow2 -O raw /a.qcow2 /b.raw"
        );
        source.snapshot = Some("one".to_owned());
        let of_snapshot = arguments(&source, &target, 4096).unwrap().join(" ");
        assert!(
            of_snapshot.contains("-r 4096 -U -l snapshot.name=one -f"),
            "{of_snapshot}"
        );
    }
}
