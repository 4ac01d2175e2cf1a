//! What storage hands to guest: a disk image that QEMU can open.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

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

/// Where an image is; QEMU's driver follows from it. A descriptor is for images that the guest's
/// user must not be able to open by name; the number is that of the descriptor in the QEMU process.
///
/// Secrets are not in it: what is reached over a network names a file with them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BlockSource {
    /// A file by its absolute path. QEMU changes its directory, and a relative one breaks every
    /// migration.
    File(String),
    /// A block device of the host by its absolute path, which is no link.
    Device(String),
    /// A file that is open.
    Descriptor(i32),
    /// A block device that is open.
    DeviceDescriptor(i32),
    /// An image in a pool of Ceph.
    Rbd(RbdSource),
    /// A unit of a target of iSCSI.
    Iscsi(IscsiSource),
}

/// A unit (LUN) of a target of iSCSI, over TCP.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IscsiSource {
    /// Address and port.
    pub portal: String,
    pub target: String,
    pub unit: u32,
    /// The name that the target knows the node by; QEMU's own where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initiator: Option<String>,
    /// In bytes, as it was found.
    pub size: u64,
}

/// An image in a pool of Ceph, or a snapshot of one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RbdSource {
    pub pool: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    pub image: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<String>,
    /// The user of Ceph, without `client.`.
    pub user: String,
    /// The absolute path of a file that says where the cluster is, and has the user's key: only who
    /// opens the image may read it.
    pub conf: String,
    /// In bytes, as it was found.
    pub size: u64,
}

impl RbdSource {
    /// How Ceph's programs name it: `pool/namespace/image@snapshot`.
    pub fn spec(&self) -> String {
        let namespace = self.namespace.as_ref().map(|name| format!("{name}/"));
        let snapshot = self.snapshot.as_ref().map(|name| format!("@{name}"));
        format!(
            "{}/{}{}{}",
            self.pool,
            namespace.unwrap_or_default(),
            self.image,
            snapshot.unwrap_or_default()
        )
    }
}

/// What is reached over a network, as QEMU and its programs open it.
#[derive(Debug, Clone, PartialEq)]
pub struct Remote {
    /// QEMU's driver, and the options that say which image it is.
    pub driver: &'static str,
    pub options: Map<String, Value>,
    /// The file that says how it is reached, where it takes one.
    pub conf: Option<String>,
    /// What it is called in logs.
    pub name: String,
    /// In bytes, as it was found.
    pub size: u64,
}

impl RbdSource {
    fn remote(&self) -> Remote {
        let options = [
            ("pool", Some(&self.pool)),
            ("namespace", self.namespace.as_ref()),
            ("image", Some(&self.image)),
            ("snapshot", self.snapshot.as_ref()),
            ("user", Some(&self.user)),
            ("conf", Some(&self.conf)),
        ];
        let given = options
            .into_iter()
            .filter_map(|(key, value)| Some((key, value?)));
        Remote {
            driver: "rbd",
            options: given
                .map(|(key, value)| (key.to_owned(), value.as_str().into()))
                .collect(),
            conf: Some(self.conf.clone()),
            name: format!("rbd:{}", self.spec()),
            size: self.size,
        }
    }
}

impl IscsiSource {
    fn remote(&self) -> Remote {
        let options = [
            ("transport", Some("tcp".into())),
            ("portal", Some(self.portal.as_str().into())),
            ("target", Some(self.target.as_str().into())),
            ("lun", Some(self.unit.into())),
            ("initiator-name", self.initiator.as_deref().map(Value::from)),
        ];
        let given = options
            .into_iter()
            .filter_map(|(key, value)| Some((key, value?)));
        Remote {
            driver: "iscsi",
            options: given.map(|(key, value)| (key.to_owned(), value)).collect(),
            conf: None,
            name: format!("iscsi://{}/{}/{}", self.portal, self.target, self.unit),
            size: self.size,
        }
    }
}

impl BlockSource {
    /// None for files and devices of the host.
    pub fn remote(&self) -> Option<Remote> {
        match self {
            Self::Rbd(image) => Some(image.remote()),
            Self::Iscsi(image) => Some(image.remote()),
            _ => None,
        }
    }

    /// What an administrator names by its path: devices are below `/dev`.
    pub fn at(path: String) -> Self {
        match path.starts_with("/dev/") {
            true => Self::Device(path),
            false => Self::File(path),
        }
    }

    /// The path of what is not open yet.
    pub fn path(&self) -> Option<&str> {
        match self {
            Self::File(path) | Self::Device(path) => Some(path),
            Self::Descriptor(_) | Self::DeviceDescriptor(_) | Self::Rbd(_) | Self::Iscsi(_) => None,
        }
    }

    /// The same, once it was opened under this number; what QEMU reaches by itself stays as it is.
    pub fn opened(&self, number: i32) -> Self {
        match self {
            Self::File(_) | Self::Descriptor(_) => Self::Descriptor(number),
            Self::Device(_) | Self::DeviceDescriptor(_) => Self::DeviceDescriptor(number),
            Self::Rbd(_) | Self::Iscsi(_) => self.clone(),
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
    /// Opened through the page cache unless the administrator chose otherwise.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub buffered: bool,
    /// How many bytes of a raw image are used, from its beginning; all where nothing is said. A
    /// device may be larger than what was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub length: Option<u64>,
    /// A layer that QEMU may merge with the one above it while a guest has both open: its file is
    /// opened to be written, the layer itself is not.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub mergeable: bool,
    /// The backing image. None for an image that stands alone, even if its header names a backing
    /// file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backing: Option<Box<BlockSpec>>,
}

impl BlockSpec {
    /// An image that stands for itself, to be written to.
    pub fn new(source: BlockSource, format: BlockFormat) -> Self {
        Self {
            source,
            format,
            read_only: false,
            can_discard: true,
            buffered: false,
            length: None,
            mergeable: false,
            backing: None,
        }
    }

    /// The image and its backing chain, top first.
    pub fn layers(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(Some(self), |layer| layer.backing.as_deref())
    }
}
