//! The types of storages, and what is true of each before any is configured.

use model::VmId;
use serde::{Deserialize, Serialize};

use crate::{ContentType, VolumeName, btrfs, dir, iscsi, iscsidirect, lvm, lvmthin, rbd, zfspool};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StorageType {
    Dir,
    Btrfs,
    Nfs,
    Cifs,
    CephFs,
    Lvm,
    LvmThin,
    ZfsPool,
    Rbd,
    Iscsi,
    IscsiDirect,
}

/// The disks of guests.
const DISKS: &[ContentType] = &[ContentType::Images, ContentType::Rootdir];

const IMAGES: &[ContentType] = &[ContentType::Images];

/// What no guest writes to.
const PLAIN_FILES: &[ContentType] = &[
    ContentType::Vztmpl,
    ContentType::Iso,
    ContentType::Backup,
    ContentType::Snippets,
    ContentType::Import,
];

const BACKUP: &[ContentType] = &[ContentType::Backup];

/// What a property of a storage is for its type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Property {
    /// Given when the storage is made, and never changed.
    Required,
    /// Given when the storage is made, or never.
    Fixed,
    /// Can be changed and reset at any time.
    Changeable,
}

use Property::{Changeable, Fixed, Required};

/// The properties of the types that keep files in a folder.
const OF_FOLDERS: &[(&str, Property)] = &[
    ("create-base-path", Changeable),
    ("create-subdirs", Changeable),
    ("format", Changeable),
    ("max-protected-backups", Changeable),
    ("mkdir", Changeable),
    ("prune-backups", Changeable),
];

/// Of those, the properties of types whose files may be images.
const OF_IMAGES: &[(&str, Property)] = &[("preallocation", Changeable)];

const OF_CONTENT_DIRS: &[(&str, Property)] = &[("content-dirs", Changeable)];

/// Of types whose snapshots can be layers.
const OF_CHAINS: &[(&str, Property)] = &[("snapshot-as-volume-chain", Fixed)];

const OF_PATHS: &[(&str, Property)] = &[
    ("path", Required),
    ("shared", Changeable),
    ("is_mountpoint", Changeable),
];

impl StorageType {
    pub const ALL: [Self; 11] = [
        Self::Dir,
        Self::Btrfs,
        Self::Nfs,
        Self::Cifs,
        Self::CephFs,
        Self::Lvm,
        Self::LvmThin,
        Self::ZfsPool,
        Self::Rbd,
        Self::Iscsi,
        Self::IscsiDirect,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dir => "dir",
            Self::Btrfs => "btrfs",
            Self::Nfs => "nfs",
            Self::Cifs => "cifs",
            Self::CephFs => "cephfs",
            Self::Lvm => "lvm",
            Self::LvmThin => "lvmthin",
            Self::ZfsPool => "zfspool",
            Self::Rbd => "rbd",
            Self::Iscsi => "iscsi",
            Self::IscsiDirect => "iscsidirect",
        }
    }

    /// What such a storage can hold.
    pub fn contents(self) -> &'static [ContentType] {
        match self {
            Self::Dir | Self::Btrfs | Self::Nfs | Self::Cifs => &ContentType::ALL,
            Self::Lvm | Self::LvmThin | Self::ZfsPool | Self::Rbd => DISKS,
            Self::Iscsi | Self::IscsiDirect => IMAGES,
            Self::CephFs => PLAIN_FILES,
        }
    }

    /// Whether such a storage may be configured to hold nothing.
    pub fn may_be_empty(self) -> bool {
        matches!(
            self,
            Self::Dir | Self::Btrfs | Self::Iscsi | Self::IscsiDirect
        )
    }

    /// The default contents. Source: Proxmox VE's defaults.
    pub fn default_contents(self) -> &'static [ContentType] {
        match self {
            Self::Nfs | Self::Cifs | Self::Lvm | Self::Rbd | Self::Iscsi | Self::IscsiDirect => {
                IMAGES
            }
            Self::Dir | Self::Btrfs | Self::LvmThin | Self::ZfsPool => DISKS,
            Self::CephFs => BACKUP,
        }
    }

    /// The properties that it has besides those of all types, in groups.
    pub fn properties(self) -> Vec<(&'static str, Property)> {
        let groups: &[&[(&str, Property)]] = match self {
            Self::Dir => &[OF_PATHS, OF_FOLDERS, OF_IMAGES, OF_CONTENT_DIRS, OF_CHAINS],
            Self::Btrfs => &[OF_PATHS, OF_FOLDERS, OF_IMAGES],
            Self::Nfs | Self::Cifs => &[OF_FOLDERS, OF_IMAGES, OF_CONTENT_DIRS, OF_CHAINS],
            Self::CephFs => &[OF_FOLDERS, OF_CONTENT_DIRS],
            Self::Lvm
            | Self::LvmThin
            | Self::ZfsPool
            | Self::Rbd
            | Self::Iscsi
            | Self::IscsiDirect => &[],
        };
        groups
            .iter()
            .chain([&self.own_properties()])
            .flat_map(|group| group.iter().copied())
            .collect()
    }

    /// Those that are in no group.
    fn own_properties(self) -> &'static [(&'static str, Property)] {
        match self {
            Self::Dir => &[],
            Self::Btrfs => &[("nocow", Changeable)],
            Self::Nfs => &[
                ("server", Required),
                ("export", Required),
                ("path", Fixed),
                ("options", Changeable),
            ],
            Self::Cifs => &[
                ("server", Required),
                ("share", Required),
                ("path", Fixed),
                ("subdir", Changeable),
                ("username", Changeable),
                ("domain", Changeable),
                ("smbversion", Changeable),
                ("options", Changeable),
            ],
            Self::CephFs => &[
                ("path", Fixed),
                ("monhost", Changeable),
                ("subdir", Changeable),
                ("username", Changeable),
                ("fs-name", Changeable),
                ("fuse", Changeable),
                ("options", Changeable),
            ],
            Self::Lvm => &[
                ("vgname", Required),
                ("base", Fixed),
                ("shared", Changeable),
                ("saferemove", Changeable),
                ("saferemove-stepsize", Changeable),
                ("saferemove_throughput", Changeable),
                ("tagged_only", Changeable),
                ("snapshot-as-volume-chain", Changeable),
                ("encrypted", Fixed),
            ],
            Self::LvmThin => &[
                ("vgname", Required),
                ("thinpool", Required),
                ("encrypted", Fixed),
            ],
            Self::ZfsPool => &[
                ("pool", Required),
                ("blocksize", Changeable),
                ("sparse", Changeable),
                ("mountpoint", Changeable),
                ("encrypted", Fixed),
            ],
            Self::Iscsi | Self::IscsiDirect => &[("portal", Required), ("target", Required)],
            Self::Rbd => &[
                ("monhost", Changeable),
                ("pool", Changeable),
                ("data-pool", Changeable),
                ("namespace", Changeable),
                ("username", Changeable),
                ("krbd", Changeable),
            ],
        }
    }

    /// The property whose value is kept below `secret/`, of types that have one.
    pub fn secret(self) -> Option<&'static str> {
        match self {
            Self::Cifs => Some("password"),
            Self::CephFs | Self::Rbd => Some("keyring"),
            _ => None,
        }
    }

    /// The name of a guest's image that an administrator calls so: `vm-100-disk-0.raw`.
    pub fn image_named(self, owner: VmId, file_name: &str) -> String {
        match self {
            Self::Dir | Self::Btrfs | Self::Nfs | Self::Cifs | Self::CephFs => {
                format!("{owner}/{file_name}")
            }
            Self::Lvm
            | Self::LvmThin
            | Self::ZfsPool
            | Self::Rbd
            | Self::Iscsi
            | Self::IscsiDirect => file_name.to_owned(),
        }
    }

    /// Whether programs other than QEMU's can open its images, which then are files or devices.
    pub fn has_paths(self) -> bool {
        !matches!(self, Self::Rbd | Self::IscsiDirect)
    }

    /// Reads a volume's name; none where no storage of this type has such names.
    pub fn parse(self, name: &str) -> Option<VolumeName> {
        match self {
            Self::Dir | Self::Nfs | Self::Cifs | Self::CephFs => dir::parse_name(name),
            Self::Btrfs => btrfs::parse_name(name),
            Self::Lvm => lvm::parse_name(name),
            Self::LvmThin => lvmthin::parse_name(name),
            Self::ZfsPool => zfspool::parse_name(name),
            Self::Rbd => rbd::parse_name(name),
            Self::Iscsi => iscsi::parse_name(name),
            Self::IscsiDirect => iscsidirect::parse_name(name),
        }
    }
}
