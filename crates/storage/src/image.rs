//! Disk images that are files, by `qemu-img`; raw images need no program.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use model::{BlockFormat, BlockSpec};
use serde::Deserialize;
use sys::{Command, Fence, SharedHost, SysError};

use crate::{Opened, Preallocation, check_whole};

const PROGRAM: &str = "qemu-img";

/// Setting a whole image aside may take long; everything else is over in seconds.
const FULL_TIMEOUT_S: u64 = 6 * 3600;

/// Of images: guests get them as descriptors.
const MODE: u32 = 0o640;

/// Runs the program in a fence with what it works on, and nothing else.
async fn run(
    host: &SharedHost,
    args: Vec<String>,
    fence: Fence,
    timeout_s: u64,
) -> Result<Vec<u8>, SysError> {
    let timeout = Duration::from_secs(timeout_s);
    let fence = Fence {
        cpu: Some(timeout),
        ..fence
    };
    let command = Command::new(PROGRAM).args(args).fence(fence);
    let command = command.timeout(Some(timeout));
    host.run(command).await?.checked(PROGRAM)
}

/// Runs it on a new file, which is root's alone from its first moment on.
async fn make(
    host: &SharedHost,
    args: Vec<String>,
    path: &Path,
    timeout_s: u64,
) -> Result<(), SysError> {
    host.write(path, b"", MODE).await?;
    write(host, args, path, timeout_s).await
}

/// Runs it on what is there already.
async fn write(
    host: &SharedHost,
    args: Vec<String>,
    path: &Path,
    timeout_s: u64,
) -> Result<(), SysError> {
    let file = host.open_image(path, true, false).await?;
    let fence = Fence::new(None).file(path, file, true);
    run(host, args, fence, timeout_s).await.map(|_| ())
}

pub(crate) async fn create(
    host: &SharedHost,
    path: &Path,
    format: BlockFormat,
    size: u64,
    preallocation: Option<Preallocation>,
) -> Result<(), SysError> {
    let preallocation = match (preallocation, format) {
        // Where nothing is said, a qcow2 image gets its tables at once, which keeps its speed
        // even; a raw one is sparse.
        (None, BlockFormat::Qcow2) => Preallocation::Metadata,
        (None, _) | (Some(Preallocation::Metadata), BlockFormat::Raw | BlockFormat::Vmdk) => {
            Preallocation::Off
        }
        (Some(given), _) => given,
    };
    let long = matches!(preallocation, Preallocation::Falloc | Preallocation::Full);
    let mut args = vec!["create".to_owned(), "-q".to_owned()];
    args.extend(["-f".to_owned(), format.as_str().to_owned()]);
    if format != BlockFormat::Vmdk {
        args.extend([
            "-o".to_owned(),
            format!("preallocation={}", preallocation.as_str()),
        ]);
    }
    args.extend([path.display().to_string(), size.to_string()]);
    make(host, args, path, if long { FULL_TIMEOUT_S } else { 60 }).await
}

pub(crate) async fn resize(
    host: &SharedHost,
    image: &BlockSpec,
    size: u64,
) -> Result<(), SysError> {
    let image = Opened::open(host, image, true).await?;
    let args = ["resize", "-q", &image.filename(), &size.to_string()];
    let args = args.map(str::to_owned).to_vec();
    let fence = image.inside(Fence::new(None));
    run(host, args, fence, 60).await.map(|_| ())
}

/// What the beginning of a file says that it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Probed {
    Image(BlockFormat),
    /// An image of a format that is not supported here.
    Foreign(&'static str),
    /// An archive of files, as an OVA is one.
    Archive,
    /// A device, whose content is always taken as it is.
    Device,
}

/// As much as is looked at.
const HEAD_BYTES: usize = 512;

/// Where an archive says that it is one.
const ARCHIVE: (usize, &[u8]) = (257, b"ustar");

/// How images of other formats than raw begin.
const BEGINNINGS: [(&[u8], Probed); 8] = [
    (b"QFI\xfb", Probed::Image(BlockFormat::Qcow2)),
    (b"KDMV", Probed::Image(BlockFormat::Vmdk)),
    (b"COWD", Probed::Image(BlockFormat::Vmdk)),
    (b"# Disk DescriptorFile", Probed::Image(BlockFormat::Vmdk)),
    (b"<<< ", Probed::Foreign("vdi")),
    (b"vhdxfile", Probed::Foreign("vhdx")),
    (b"conectix", Probed::Foreign("vpc")),
    (b"QED\0", Probed::Foreign("qed")),
];

impl Probed {
    fn of(head: &[u8]) -> Self {
        let known = BEGINNINGS
            .iter()
            .find(|(begins, _)| head.starts_with(begins));
        let (at, archive) = ARCHIVE;
        match known {
            Some((_, content)) => *content,
            None if head.get(at..).is_some_and(|rest| rest.starts_with(archive)) => Self::Archive,
            None => Self::Image(BlockFormat::Raw),
        }
    }
}

/// Looks at how a file begins that is open; `path` names it in errors. Only of use for a file that
/// no guest has written: a guest makes its raw disk look like anything.
pub async fn probe(
    host: &SharedHost,
    file: &Arc<OwnedFd>,
    path: &Path,
) -> Result<Probed, SysError> {
    if host.measure(file, path).await?.is_device {
        return Ok(Probed::Device);
    }
    let head = host.read_at(file, path, 0, HEAD_BYTES).await?;
    Ok(Probed::of(&head))
}

/// Makes a qcow2 image of this size that shows what `backing` shows, which its header names with
/// these words. The base is not opened.
pub(crate) async fn create_overlay(
    host: &SharedHost,
    path: &Path,
    backing: &str,
    backing_format: BlockFormat,
    size: u64,
) -> Result<(), SysError> {
    let args = overlay_args(path, backing, backing_format, size, None);
    make(host, args, path, 60).await
}

/// Small clusters for what is written, few entries for what is not. Source: Proxmox VE's layers.
const LAYER_OPTIONS: &str = "extended_l2=on,cluster_size=128k";

/// The same for a layer of an image above a snapshot of it.
pub(crate) async fn create_layer(
    host: &SharedHost,
    path: &Path,
    snapshot: &str,
    size: u64,
) -> Result<(), SysError> {
    make(host, layer_args(path, snapshot, size), path, 60).await
}

/// The same in a device.
pub(crate) async fn create_layer_in(
    host: &SharedHost,
    device: &Path,
    snapshot: &str,
    size: u64,
) -> Result<(), SysError> {
    write(host, layer_args(device, snapshot, size), device, 60).await
}

/// Makes a qcow2 image in a device. Its tables are made as it is written: until then it reads as
/// zeros, whatever the device holds.
pub(crate) async fn create_in(host: &SharedHost, device: &Path, size: u64) -> Result<(), SysError> {
    let path = device.display().to_string();
    let args = ["create", "-q", "-f", "qcow2", &path, &size.to_string()];
    write(host, args.map(str::to_owned).to_vec(), device, 60).await
}

/// What an image has where nothing is said.
const PLAIN_OPTIONS: &str = "cluster_size=64k";

/// How large a device must be for a qcow2 image, or a layer of one, that shows so much and has been
/// written to its end.
pub(crate) async fn room_for(host: &SharedHost, size: u64) -> Result<u64, SysError> {
    let mut room = 0;
    for options in [PLAIN_OPTIONS, LAYER_OPTIONS] {
        let size = size.to_string();
        let how = ["measure", "-O", "qcow2", "--output", "json"];
        let of = ["-o", options, "--size", &size];
        let args = how.iter().chain(&of).map(|arg| (*arg).to_owned()).collect();
        let printed = run(host, args, Fence::new(None), 60).await?;
        let measured: Measured = serde_json::from_slice(&printed).map_err(|error| {
            SysError::Unsupported(format!("{PROGRAM} measures something else: {error}"))
        })?;
        room = room.max(measured.fully_allocated);
    }
    Ok(room + MOVED_TABLES)
}

/// What `qemu-img measure` prints.
#[derive(Deserialize)]
struct Measured {
    #[serde(rename = "fully-allocated")]
    fully_allocated: u64,
}

/// An image that grows moves its tables, and where they were stays free.
const MOVED_TABLES: u64 = 1 << 20;

fn layer_args(path: &Path, snapshot: &str, size: u64) -> Vec<String> {
    let format = BlockFormat::Qcow2;
    overlay_args(path, snapshot, format, size, Some(LAYER_OPTIONS))
}

fn overlay_args(
    path: &Path,
    backing: &str,
    backing_format: BlockFormat,
    size: u64,
    options: Option<&str>,
) -> Vec<String> {
    let format = backing_format.as_str();
    let mut args = vec!["create", "-q", "-f", "qcow2", "-u", "-F", format];
    args.extend(options.into_iter().flat_map(|options| ["-o", options]));
    let mut args: Vec<String> = args.into_iter().map(str::to_owned).collect();
    args.extend(["-b".to_owned(), backing.to_owned()]);
    args.extend([path.display().to_string(), size.to_string()]);
    args
}

/// A layer of an image, for the program that finds it by the header of the one above it.
pub(crate) struct LayerFile {
    pub(crate) name: PathBuf,
    /// What is opened under this name.
    pub(crate) path: PathBuf,
    pub(crate) format: BlockFormat,
}

/// The layers of an image from the top, inside of a fence: the first so many can be written.
async fn fence_of(
    host: &SharedHost,
    layers: &[LayerFile],
    written: usize,
) -> Result<Fence, SysError> {
    let mut fence = Fence::new(None);
    for (depth, LayerFile { name, path, format }) in layers.iter().enumerate() {
        let write = depth < written;
        let file = host.open_image(path, write, false).await?;
        check_whole(host, &file, path, *format).await?;
        fence = fence.file(name, file, write);
    }
    Ok(fence)
}

/// Has the first layer show what it shows on the layer that `words` name, which is below its own.
/// What is missing then is copied, and on the disk, before its header changes.
pub(crate) async fn rebase(
    host: &SharedHost,
    layers: &[LayerFile],
    words: &str,
) -> Result<(), SysError> {
    let fence = fence_of(host, layers, 1).await?;
    let how = ["rebase", "-q", "-t", "writethrough", "-f", "qcow2"];
    let on = ["-F", "qcow2", "-b", words];
    let mut args: Vec<String> = how.iter().chain(&on).map(|arg| (*arg).to_owned()).collect();
    args.extend(layers.first().map(|top| top.name.display().to_string()));
    run(host, args, fence, FULL_TIMEOUT_S).await.map(|_| ())
}

/// Writes what the first layer holds into the second, which grows to its size.
pub(crate) async fn commit(host: &SharedHost, layers: &[LayerFile]) -> Result<(), SysError> {
    let fence = fence_of(host, layers, 2).await?;
    let mut args = ["commit", "-q", "-d", "-f", "qcow2"]
        .map(str::to_owned)
        .to_vec();
    args.extend(layers.first().map(|top| top.name.display().to_string()));
    run(host, args, fence, FULL_TIMEOUT_S).await.map(|_| ())
}

/// What is done to a snapshot inside of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SnapshotAction {
    Create,
    Apply,
    Delete,
}

/// The image must not be in use. Deleting what a guest has overwritten since takes a while.
pub(crate) async fn snapshot(
    host: &SharedHost,
    image: &BlockSpec,
    action: SnapshotAction,
    name: &str,
) -> Result<(), SysError> {
    let flag = match action {
        SnapshotAction::Create => "-c",
        SnapshotAction::Apply => "-a",
        SnapshotAction::Delete => "-d",
    };
    let image = Opened::open(host, image, true).await?;
    let args = ["snapshot", flag, name, &image.filename()];
    let args = args.map(str::to_owned).to_vec();
    let fence = image.inside(Fence::new(None));
    run(host, args, fence, 600).await.map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_known_by_how_it_begins() {
        let mut archive = vec![0; 512];
        archive[257..262].copy_from_slice(b"ustar");
        for (head, content) in [
            (&b"QFI\xfb\0\0\0\x03"[..], Probed::Image(BlockFormat::Qcow2)),
            (b"KDMV\x03", Probed::Image(BlockFormat::Vmdk)),
            (
                b"<<< Oracle VM VirtualBox Disk Image >>>",
                Probed::Foreign("vdi"),
            ),
            (b"\xeb\x63\x90", Probed::Image(BlockFormat::Raw)),
            (b"", Probed::Image(BlockFormat::Raw)),
            (&archive, Probed::Archive),
        ] {
            assert_eq!(Probed::of(head), content);
        }
    }
}
