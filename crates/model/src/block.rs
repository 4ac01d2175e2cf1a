//! What storage hands to guest: a disk image that QEMU can open.

use serde::{Deserialize, Serialize};

/// How the bytes of an image are laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BlockFormat {
    Raw,
    Qcow2,
    Vmdk,
}

impl BlockFormat {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Qcow2 => "qcow2",
            Self::Vmdk => "vmdk",
        }
    }
}

/// Where an image is. A descriptor is for images that the guest's user must not be able to open
/// by name; the number is that of the descriptor in the QEMU process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BlockSource {
    /// An absolute path. QEMU changes its directory, and a relative one breaks every migration.
    Path(String),
    Descriptor(i32),
    /// A device of the host by descriptor: QEMU opens it with its device driver, not as a file.
    DeviceDescriptor(i32),
}

impl BlockSource {
    /// The location to give QEMU for an image that was opened as this descriptor.
    pub fn opened(&self, number: i32) -> Self {
        match self {
            Self::Path(path) if path.starts_with("/dev/") => Self::DeviceDescriptor(number),
            _ => Self::Descriptor(number),
        }
    }
}

/// An image, ready to be opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockSpec {
    pub source: BlockSource,
    pub format: BlockFormat,
    pub read_only: bool,
    /// True where the storage can punch holes, so that a guest's discard frees space.
    pub can_discard: bool,
    /// The backing image. None for an image that stands alone, even if its header names a backing
    /// file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backing: Option<Box<BlockSpec>>,
}

impl BlockSpec {
    /// The image and its backing chain, top first.
    pub fn layers(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(Some(self), |layer| layer.backing.as_deref())
    }
}
