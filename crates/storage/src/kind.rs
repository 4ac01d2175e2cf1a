//! The types of storages, and what is true of each before any is configured.

use model::{BlockFormat, VmId};
use serde::{Deserialize, Serialize};

use crate::{ContentType, VolumeName, dir, lvmthin};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StorageType {
    Dir,
    LvmThin,
}

impl StorageType {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dir => "dir",
            Self::LvmThin => "lvmthin",
        }
    }

    /// What such a storage can hold.
    pub fn contents(self) -> &'static [ContentType] {
        match self {
            Self::Dir => &ContentType::ALL,
            Self::LvmThin => &[ContentType::Images, ContentType::Rootdir],
        }
    }

    /// The default contents. Source: Proxmox VE's defaults.
    pub fn default_contents(self) -> &'static [ContentType] {
        match self {
            Self::Dir | Self::LvmThin => &[ContentType::Images, ContentType::Rootdir],
        }
    }

    /// The formats that its images may have.
    pub fn formats(self) -> &'static [BlockFormat] {
        match self {
            Self::Dir => &[BlockFormat::Raw, BlockFormat::Qcow2, BlockFormat::Vmdk],
            Self::LvmThin => &[BlockFormat::Raw],
        }
    }

    /// The name of a guest's image that an administrator calls so: `vm-100-disk-0.raw`.
    pub fn image_named(self, owner: VmId, file_name: &str) -> String {
        match self {
            Self::Dir => format!("{owner}/{file_name}"),
            Self::LvmThin => file_name.to_owned(),
        }
    }

    /// Reads a volume's name; none where no storage of this type has such names.
    pub fn parse(self, name: &str) -> Option<VolumeName> {
        match self {
            Self::Dir => dir::parse_name(name),
            Self::LvmThin => lvmthin::parse_name(name),
        }
    }
}
