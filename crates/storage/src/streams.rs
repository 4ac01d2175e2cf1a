//! Which streams volumes travel in: of what format, by their type and their name. Source: the formats
//! of `pvesm export` of Proxmox VE.

use std::fmt;

use model::BlockFormat;
use serde::{Deserialize, Serialize};

use crate::{ContentType, StorageType, VolumeName};

/// The format of a stream.
///
/// `…+size` begins with 8 bytes, little-endian: what a guest sees of an image, the length of a file,
/// 0 for a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum StreamFormat {
    /// What a guest sees, or the bytes of a file.
    #[serde(rename = "raw+size")]
    Raw,
    /// The image's file, with its snapshots.
    #[serde(rename = "qcow2+size")]
    Qcow2,
    #[serde(rename = "vmdk+size")]
    Vmdk,
    /// An archive of a directory, by tar, with the ids of the host.
    #[serde(rename = "tar+size")]
    Tar,
}

impl StreamFormat {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Raw => "raw+size",
            Self::Qcow2 => "qcow2+size",
            Self::Vmdk => "vmdk+size",
            Self::Tar => "tar+size",
        }
    }

    /// The images whose file such a stream carries.
    pub fn file_format(self) -> Option<BlockFormat> {
        match self {
            Self::Qcow2 => Some(BlockFormat::Qcow2),
            Self::Vmdk => Some(BlockFormat::Vmdk),
            _ => None,
        }
    }

    /// How long the file of an image may be whose guest sees so many bytes. `head` is its beginning,
    /// where qcow2 says how many snapshots it has: each keeps what was overwritten since.
    pub fn file_bytes_max(self, size: u64, head: &[u8]) -> u64 {
        const TABLES: u64 = 64 << 20;
        let snapshots = match (self, head.get(SNAPSHOTS_AT)) {
            (Self::Qcow2, Some(&[a, b, c, d])) => u32::from_be_bytes([a, b, c, d]),
            _ => 0,
        };
        let states = u64::from(snapshots).saturating_add(2);
        size.saturating_mul(states).saturating_add(TABLES)
    }
}

/// Where qcow2 has the number of snapshots. Source: `docs/interop/qcow2` of QEMU.
const SNAPSHOTS_AT: std::ops::Range<usize> = 60..64;

/// The line in the log of an import that names the volume that there is now: the last of its steps
/// writes it, and the command line looks for it.
pub fn import_complete(volume: &str) -> String {
    format!("{BEFORE_VOLUME}{volume}{AFTER_VOLUME}")
}

/// The volume that such a line names; none in other lines.
pub fn completed_import(line: &str) -> Option<&str> {
    let volume = line.strip_prefix(BEFORE_VOLUME)?;
    volume.strip_suffix(AFTER_VOLUME)
}

const BEFORE_VOLUME: &str = "volume '";
const AFTER_VOLUME: &str = "' is complete";

impl fmt::Display for StreamFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl StorageType {
    /// The stream that a volume of this name goes into, and is made of; none where there is none.
    pub fn stream(self, name: &VolumeName, with_snapshots: bool) -> Option<StreamFormat> {
        match self {
            Self::Dir | Self::Btrfs | Self::Nfs | Self::Cifs | Self::CephFs => {
                of_files(name, with_snapshots)
            }
            Self::Lvm | Self::LvmThin | Self::Rbd | Self::Iscsi | Self::IscsiDirect => {
                (!with_snapshots).then_some(StreamFormat::Raw)
            }
            // Its only one is that of `zfs send`.
            Self::ZfsPool => None,
        }
    }
}

fn of_files(name: &VolumeName, with_snapshots: bool) -> Option<StreamFormat> {
    match (name.content, name.image_format) {
        (ContentType::Backup, _) => None,
        (ContentType::Images, Some(BlockFormat::Qcow2)) if with_snapshots => {
            Some(StreamFormat::Qcow2)
        }
        (ContentType::Images, Some(BlockFormat::Vmdk)) if with_snapshots => {
            Some(StreamFormat::Vmdk)
        }
        _ if with_snapshots => None,
        (ContentType::Rootdir, _) => Some(StreamFormat::Tar),
        _ => Some(StreamFormat::Raw),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_and_a_name_say_which_stream_there_is() {
        use StorageType::{Dir, LvmThin, ZfsPool};
        for (kind, name, with_snapshots, expected) in [
            (Dir, "100/vm-100-disk-0.raw", false, Some("raw+size")),
            (Dir, "100/vm-100-disk-0.qcow2", false, Some("raw+size")),
            (Dir, "100/vm-100-disk-0.qcow2", true, Some("qcow2+size")),
            (Dir, "100/vm-100-disk-0.vmdk", true, Some("vmdk+size")),
            (Dir, "100/vm-100-disk-0.raw", true, None),
            (Dir, "100/subvol-100-disk-0.subvol", false, Some("tar+size")),
            (Dir, "100/subvol-100-disk-0.subvol", true, None),
            (Dir, "iso/x.iso", false, Some("raw+size")),
            (LvmThin, "vm-100-disk-0", false, Some("raw+size")),
            (LvmThin, "vm-100-disk-0", true, None),
            (ZfsPool, "vm-100-disk-0", false, None),
        ] {
            let stream = kind.stream(&kind.parse(name).unwrap(), with_snapshots);
            assert_eq!(stream.map(StreamFormat::as_str), expected, "{name}");
        }
    }

    #[test]
    fn the_file_of_an_image_has_a_bound() {
        let mut head = vec![0; 512];
        assert_eq!(StreamFormat::Qcow2.file_bytes_max(1 << 20, &head), 66 << 20);
        head[63] = 3;
        assert_eq!(StreamFormat::Qcow2.file_bytes_max(1 << 20, &head), 69 << 20);
        assert_eq!(StreamFormat::Vmdk.file_bytes_max(1 << 20, &head), 66 << 20);
        assert_eq!(
            StreamFormat::Qcow2.file_bytes_max(1 << 20, b"QFI"),
            66 << 20
        );
        let most = StreamFormat::Qcow2.file_bytes_max(i64::MAX as u64, &[0xff; 64]);
        assert_eq!(most, u64::MAX);
    }

    #[test]
    fn a_line_names_the_volume_that_is_complete() {
        let line = import_complete("local:100/vm-100-disk-0.raw");
        assert_eq!(line, "volume 'local:100/vm-100-disk-0.raw' is complete");
        assert_eq!(completed_import(&line), Some("local:100/vm-100-disk-0.raw"));
        for other in ["volume 'x' already exists", "TASK OK", ""] {
            assert_eq!(completed_import(other), None, "{other}");
        }
    }
}
