//! A container's file systems: `rootfs: local:100/vm-100-disk-0.raw,size=4G`, `mp0: …,mp=/data`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::format::{self, PATH};
use crate::qemu::requested_size;
use crate::schema::{
    Field, Properties, PropertyError, format as common, parse_properties, print_properties,
};
use crate::{ByteSize, StorageId, VolumeId};

/// What `mountoptions` may have.
pub const MOUNT_OPTIONS: [&str; 6] = [
    "discard", "lazytime", "noatime", "nodev", "noexec", "nosuid",
];

const OPTIONS_PATTERN: &str = concat!(
    "(discard|lazytime|noatime|nodev|noexec|nosuid)",
    "(;(discard|lazytime|noatime|nodev|noexec|nosuid))*"
);
const ID_MAP_PATTERN: &str = concat!(
    "(?:passthrough|[ug]:[0-9]+:[0-9]+:[1-9][0-9]*",
    "(?:;[ug]:[0-9]+:[0-9]+:[1-9][0-9]*)*)"
);

const COMMON: [Field; 9] = [
    Field::boolean("acl").optional(),
    Field::string("idmap")
        .optional()
        .pattern(ID_MAP_PATTERN)
        .unbuilt(),
    Field::string("mountoptions")
        .optional()
        .pattern(OPTIONS_PATTERN),
    Field::boolean("quota").optional().unbuilt(),
    Field::boolean("replicate").optional().default("1"),
    Field::boolean("ro").optional(),
    Field::boolean("shared").optional().default("0"),
    Field::string("size").optional().format(common::DISK_SIZE),
    Field::string("volume").format(PATH).default_key(),
];

pub(super) const ROOTFS: &[Field] = &COMMON;

pub(super) const MP: &[Field] = &{
    let mut fields = [Field::string("mp").format(PATH); COMMON.len() + 3];
    let mut at = 0;
    while at < COMMON.len() {
        fields[at + 1] = COMMON[at];
        at += 1;
    }
    fields[COMMON.len() + 1] = Field::boolean("backup").optional();
    fields[COMMON.len() + 2] = Field::boolean("keepattrs")
        .optional()
        .default("0")
        .unbuilt();
    fields
};

/// Which of a container's file systems; the root is the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum MountSlot {
    Root,
    /// Up to 255.
    Mp(u8),
}

impl MountSlot {
    fn fields(self) -> &'static [Field] {
        match self {
            Self::Root => ROOTFS,
            Self::Mp(_) => MP,
        }
    }
}

impl FromStr for MountSlot {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        if name == "rootfs" {
            return Ok(Self::Root);
        }
        let index = name.strip_prefix("mp").and_then(|index| index.parse().ok());
        match index.map(Self::Mp) {
            // `mp01` and `mp1` would be the same under two names.
            Some(slot) if slot.to_string() == name => Ok(slot),
            _ => Err(format!("'{name}' is not a mount point (rootfs, mp0-255)")),
        }
    }
}

impl fmt::Display for MountSlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => f.write_str("rootfs"),
            Self::Mp(index) => write!(f, "mp{index}"),
        }
    }
}

impl TryFrom<String> for MountSlot {
    type Error = String;
    fn try_from(name: String) -> Result<Self, String> {
        name.parse()
    }
}

impl From<MountSlot> for String {
    fn from(slot: MountSlot) -> String {
        slot.to_string()
    }
}

/// What a mount point shows.
#[derive(Debug, Clone, PartialEq)]
pub enum MountSource {
    /// A new volume is asked for.
    New {
        storage: StorageId,
        gib: f64,
    },
    Volume(VolumeId),
    /// A folder of the host.
    Bind(String),
    /// A block device of the host.
    Device(String),
}

/// The options `rootfs` and `mp[n]`.
#[derive(Debug, Clone, PartialEq)]
pub struct MountPoint {
    slot: MountSlot,
    keys: Properties,
}

impl MountPoint {
    pub fn parse(slot: MountSlot, text: &str) -> Result<Self, PropertyError> {
        let mut keys = parse_properties(slot.fields(), text)?;
        if let Some(mp) = keys.text("mp") {
            let reason = || vec![("mp".to_owned(), "this is no folder below /".to_owned())];
            let inner = format::inner_path(mp).ok_or_else(|| PropertyError::Keys(reason()))?;
            keys.set(slot.fields(), "mp", inner);
        }
        let mount = Self { slot, keys };
        match mount.read_source() {
            Some(_) => Ok(mount),
            None => {
                let volume = mount.keys.text("volume").unwrap_or_default();
                let reason = format!("unable to parse volume ID '{volume}'");
                Err(PropertyError::Syntax(reason))
            }
        }
    }

    pub fn print(&self) -> String {
        print_properties(self.slot.fields(), &self.keys)
    }

    fn read_source(&self) -> Option<MountSource> {
        let text = self.keys.text("volume")?;
        if text.starts_with("/dev/") {
            return Some(MountSource::Device(text.to_owned()));
        }
        if text.starts_with('/') {
            return Some(MountSource::Bind(text.to_owned()));
        }
        let volume: VolumeId = text.parse().ok()?;
        Some(match requested_size(&volume) {
            Some((storage, gib)) => MountSource::New { storage, gib },
            None => MountSource::Volume(volume),
        })
    }

    pub fn source(&self) -> MountSource {
        self.read_source()
            .expect("a mount point without a source is not parsed")
    }

    pub fn volume(&self) -> Option<VolumeId> {
        match self.source() {
            MountSource::Volume(volume) => Some(volume),
            _ => None,
        }
    }

    pub fn set_volume(&mut self, volume: &VolumeId) {
        let text = volume.to_string();
        self.keys.set(self.slot.fields(), "volume", text);
    }

    /// None where it is not limited.
    pub fn size(&self) -> Option<ByteSize> {
        self.keys.text("size")?.parse().ok()
    }

    pub fn set_size(&mut self, size: ByteSize) {
        let text = size.to_string();
        self.keys.set(self.slot.fields(), "size", text);
    }

    /// Where it is in the container; `/` for the root.
    pub fn path(&self) -> &str {
        self.keys.text("mp").unwrap_or("/")
    }

    pub fn is_read_only(&self) -> bool {
        self.keys.flag("ro") == Some(true)
    }

    /// Whether each node has the same there, as who wrote the option says.
    pub fn is_shared(&self) -> bool {
        self.keys.flag("shared") == Some(true)
    }

    pub fn acl(&self) -> Option<bool> {
        self.keys.flag("acl")
    }

    /// Of `MOUNT_OPTIONS`.
    pub fn options(&self) -> Vec<&str> {
        let options = self.keys.text("mountoptions").unwrap_or_default();
        options.split(';').filter(|name| !name.is_empty()).collect()
    }
}
