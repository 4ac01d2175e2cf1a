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
}

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
}
