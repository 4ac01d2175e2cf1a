//! What each type of storage is configured by. The fields are those of Proxmox VE's `storage.cfg`,
//! with underscores.

use model::{BlockFormat, NodeName, StorageId, VolumeId};
use serde::{Deserialize, Serialize};

use super::folders::FolderNames;
use super::wipe_rate::WipeRate;

/// How much of a new image is set aside at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Preallocation {
    Off,
    Metadata,
    Falloc,
    Full,
}

impl Preallocation {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Metadata => "metadata",
            Self::Falloc => "falloc",
            Self::Full => "full",
        }
    }
}

/// What all storages have that keep files in a folder.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FolderOptions {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preallocation: Option<Preallocation>,
    /// The format of a new image if none is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<BlockFormat>,
    /// Whether snapshots of qcow2 images are layers, each a file of its own, instead of being inside
    /// of the image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot_as_volume_chain: Option<bool>,
    /// Other folders for some contents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_dirs: Option<FolderNames>,
    /// Whether the path is made where it is missing; yes where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub create_base_path: Option<bool>,
    /// Whether the folders of the contents are made where they are missing; yes where nothing
    /// is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub create_subdirs: Option<bool>,
    /// The older word for both.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mkdir: Option<bool>,
    /// How many backups of a guest are kept, as it was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prune_backups: Option<String>,
    /// How many backups of a guest may be protected; -1 for any number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_protected_backups: Option<i64>,
}

impl FolderOptions {
    pub fn creates_base_path(&self) -> bool {
        self.create_base_path.or(self.mkdir).unwrap_or(true)
    }

    pub fn creates_subdirs(&self) -> bool {
        self.create_subdirs.or(self.mkdir).unwrap_or(true)
    }
}

/// A folder of files.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DirSpec {
    /// Where its folders are; absolute.
    pub path: String,
    /// All nodes see the same volumes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shared: Option<bool>,
    /// Not usable while nothing is mounted there: `yes` for its own path, or another path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_mountpoint: Option<String>,
    #[serde(flatten)]
    pub folder: FolderOptions,
}

/// A folder on btrfs, whose raw images are subvolumes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BtrfsSpec {
    pub path: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shared: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_mountpoint: Option<String>,
    /// New images are written in place, without checksums; only snapshots copy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nocow: Option<bool>,
    #[serde(flatten)]
    pub folder: FolderOptions,
}

/// A folder that an NFS server exports.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NfsSpec {
    /// A name or an address.
    pub server: String,
    /// The path at the server.
    pub export: String,
    /// Where it is mounted; `/mnt/pve/<id>` where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Options for mount(8).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub options: Option<String>,
    /// The member that exports it, where Ostler has made the export.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exporter: Option<Exporter>,
    #[serde(flatten)]
    pub folder: FolderOptions,
}

/// A member that exports a folder to the others. It reaches the folder by its path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exporter {
    pub node: NodeName,
    /// The storage of that node in which the folder was made.
    pub origin: StorageId,
    /// The dataset of ZFS that was made for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dataset: Option<String>,
    /// Where the file system that has the folder is mounted: nothing is written or exported while it
    /// is not.
    pub mount_point: String,
    /// A UUID by which clients know the file system, whatever its device is called.
    pub fsid: String,
    /// Networks that may mount it besides the members, as `10.0.0.0/24`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub networks: Vec<String>,
}

/// A folder that an SMB server shares. The password is a secret.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CifsSpec {
    pub server: String,
    /// The share at the server.
    pub share: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// A folder of the share.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subdir: Option<String>,
    /// The user; a guest where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// The version of the protocol; what both sides have where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub smbversion: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub options: Option<String>,
    #[serde(flatten)]
    pub folder: FolderOptions,
}

/// A file system of Ceph. The keyring is a secret.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CephFsSpec {
    /// The monitors, by name or address; the node's own cluster where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub monhost: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// A folder of the file system; all of it where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subdir: Option<String>,
    /// The user of the cluster; `admin` where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// The file system, of clusters that have several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fs_name: Option<String>,
    /// Whether `ceph-fuse` mounts it, and not the kernel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fuse: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub options: Option<String>,
    #[serde(flatten)]
    pub folder: FolderOptions,
}

/// A group of LVM's, whose images are volumes of full size.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LvmSpec {
    /// The volume group.
    pub vgname: String,
    /// The unit of iSCSI that it lies on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<VolumeId>,
    /// All nodes see the same group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shared: Option<bool>,
    /// Freed volumes are overwritten with zeros.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub saferemove: Option<bool>,
    /// How many MiB are zeroed at a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub saferemove_stepsize: Option<u64>,
    /// How fast they are zeroed; as fast as the disks can where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub saferemove_throughput: Option<WipeRate>,
    /// Only volumes with the tag of a guest are shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tagged_only: Option<bool>,
    /// Images may be of qcow2, and have their snapshots as layers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot_as_volume_chain: Option<bool>,
    /// Volumes are encrypted with a key that the cluster keeps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encrypted: Option<bool>,
}

/// Thin volumes in a pool of LVM's.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LvmThinSpec {
    /// The volume group.
    pub vgname: String,
    /// The pool in it.
    pub thinpool: String,
    /// Volumes are encrypted with a key that the cluster keeps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encrypted: Option<bool>,
}

/// A dataset of ZFS, whose images are volumes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ZfsPoolSpec {
    /// The pool, or a dataset in it.
    pub pool: String,
    /// The size of a block of new volumes, as `zfs create -b` takes it: `8k`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocksize: Option<String>,
    /// New volumes take only the space that is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sparse: Option<bool>,
    /// Where the dataset is mounted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mountpoint: Option<String>,
    /// The dataset has a key of its own, which the cluster keeps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encrypted: Option<bool>,
}

/// A target of iSCSI that the kernel logs in to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IscsiSpec {
    /// Name or address, with or without a port.
    pub portal: String,
    /// The target's name, as `iqn.2026-11.org.example:one`.
    pub target: String,
}

/// A target of iSCSI, whose units QEMU opens.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IscsiDirectSpec {
    /// Name or address, with or without a port.
    pub portal: String,
    /// The target's name, as `iqn.2026-11.org.example:one`.
    pub target: String,
}

/// A pool of Ceph. The keyring is a secret.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RbdSpec {
    /// The monitors, by name or address; the node's own cluster where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub monhost: Option<String>,
    /// `rbd` where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<String>,
    /// The pool for the data of new images, where `pool` has only what describes them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_pool: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The user of the cluster; `admin` where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// Whether the kernel opens the images, and not QEMU.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub krbd: Option<bool>,
}

/// The path that something must be mounted on before a folder may be used, as `is_mountpoint` says.
pub fn mount_point<'a>(says: Option<&'a str>, path: &'a str) -> Option<&'a str> {
    match says? {
        "yes" | "1" | "on" | "true" => Some(path),
        "no" | "0" | "off" | "false" => None,
        other => Some(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_made_unless_configured_otherwise() {
        let plain = FolderOptions::default();
        assert!(plain.creates_base_path() && plain.creates_subdirs());
        let no = FolderOptions {
            mkdir: Some(false),
            ..plain
        };
        assert!(!no.creates_base_path() && !no.creates_subdirs());
        let newer = FolderOptions {
            create_subdirs: Some(true),
            ..no
        };
        assert!(!newer.creates_base_path() && newer.creates_subdirs());
    }

    #[test]
    fn a_mount_point_is_the_path_itself_or_another() {
        let path = "/srv/d2";
        for (says, point) in [
            (None, None),
            (Some("no"), None),
            (Some("yes"), Some(path)),
            (Some("/srv"), Some("/srv")),
        ] {
            assert_eq!(mount_point(says, path), point);
        }
    }
}
