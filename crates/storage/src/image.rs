//! Disk images that are files, by `qemu-img`; raw images need no program.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Duration;

use model::BlockFormat;
use sys::{Command, SharedHost, SysError};

use crate::Preallocation;

const PROGRAM: &str = "qemu-img";

/// Setting a whole image aside may take long; everything else is over in seconds.
const FULL_TIMEOUT_S: u64 = 6 * 3600;

async fn run(host: &SharedHost, args: Vec<String>, timeout_s: u64) -> Result<Vec<u8>, SysError> {
    let timeout = Some(Duration::from_secs(timeout_s));
    host.run(Command::new(PROGRAM).args(args).timeout(timeout))
        .await?
        .checked(PROGRAM)
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
    run(host, args, if long { FULL_TIMEOUT_S } else { 60 })
        .await
        .map(|_| ())
}

pub(crate) async fn resize(
    host: &SharedHost,
    path: &Path,
    format: BlockFormat,
    size: u64,
) -> Result<(), SysError> {
    let args = [
        "resize",
        "-q",
        "-f",
        format.as_str(),
        &path.display().to_string(),
        &size.to_string(),
    ];
    run(host, args.map(str::to_owned).to_vec(), 60)
        .await
        .map(|_| ())
}

/// What an image's header says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageHeader {
    /// What a guest sees, in bytes.
    pub virtual_size: u64,
    /// The image that it is a layer on, as it stands in the header.
    pub backing: Option<String>,
    /// Whether all its data is in this one file. One that somebody made up may name any other
    /// file of the host as its data.
    pub is_whole: bool,
}

/// Reads an image's header. The image may be in use; nothing that it refers to is opened.
pub async fn inspect(
    host: &SharedHost,
    path: &Path,
    format: BlockFormat,
) -> Result<ImageHeader, SysError> {
    // `-U`: a running guest has the image locked, and its header can be read all the same.
    let path = path.display().to_string();
    let args = ["info", "-U", "-f", format.as_str(), "--output=json", &path];
    let printed = run(host, args.map(str::to_owned).to_vec(), 60).await?;
    let info: serde_json::Value = serde_json::from_slice(&printed).unwrap_or_default();
    let virtual_size = info["virtual-size"]
        .as_u64()
        .ok_or_else(|| SysError::ProgramFailed {
            program: PROGRAM.to_owned(),
            status: "an answer without a size".to_owned(),
            message: path.clone(),
        })?;
    let backing = info["backing-filename"].as_str().map(str::to_owned);
    let details = &info["format-specific"]["data"];
    let elsewhere = |extent: &serde_json::Value| extent["filename"] != path.as_str();
    let extents = details["extents"].as_array();
    let is_whole = backing.is_none()
        && details["data-file"].is_null()
        && extents.is_none_or(|extents| !extents.iter().any(elsewhere));
    Ok(ImageHeader {
        virtual_size,
        backing,
        is_whole,
    })
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

/// Looks at how a file begins; nothing that it may refer to is opened. Only of use for a file that
/// no guest has written: a guest makes its raw disk look like anything.
pub async fn probe(host: &SharedHost, path: &Path) -> Result<Probed, SysError> {
    let file = host.open_image(path, false, false).await?;
    let failed = |source| SysError::io("read", path, source);
    let file = File::from(file.try_clone().map_err(failed)?);
    if !file.metadata().map_err(failed)?.is_file() {
        return Ok(Probed::Device);
    }
    let mut head = [0; HEAD_BYTES];
    let length = file.read_at(&mut head, 0).map_err(failed)?;
    Ok(Probed::of(&head[..length]))
}

/// Makes a qcow2 image that shows what `backing` shows, which its header names with these words.
pub(crate) async fn create_layer(
    host: &SharedHost,
    path: &Path,
    backing: &str,
    backing_format: BlockFormat,
) -> Result<(), SysError> {
    let path = path.display().to_string();
    let format = backing_format.as_str();
    let args = [
        "create", "-q", "-f", "qcow2", "-F", format, "-b", backing, &path,
    ];
    run(host, args.map(str::to_owned).to_vec(), 60)
        .await
        .map(|_| ())
}

/// What is done to a snapshot inside of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SnapshotAction {
    Create,
    Apply,
    Delete,
}

/// The snapshots inside of a qcow2 image, oldest first.
pub(crate) async fn snapshots(host: &SharedHost, path: &Path) -> Result<Vec<String>, SysError> {
    let path = path.display().to_string();
    let args = ["info", "-U", "-f", "qcow2", "--output=json", &path];
    let printed = run(host, args.map(str::to_owned).to_vec(), 60).await?;
    let info: serde_json::Value = serde_json::from_slice(&printed).unwrap_or_default();
    let rows = info["snapshots"].as_array().into_iter().flatten();
    Ok(rows
        .filter_map(|row| row["name"].as_str().map(str::to_owned))
        .collect())
}

/// The image must not be in use. Deleting what a guest has overwritten since takes a while.
pub(crate) async fn snapshot(
    host: &SharedHost,
    path: &Path,
    action: SnapshotAction,
    name: &str,
) -> Result<(), SysError> {
    let flag = match action {
        SnapshotAction::Create => "-c",
        SnapshotAction::Apply => "-a",
        SnapshotAction::Delete => "-d",
    };
    let args = ["snapshot", flag, name, &path.display().to_string()];
    run(host, args.map(str::to_owned).to_vec(), 600)
        .await
        .map(|_| ())
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
