//! What is configured of a storage; the record under `storage/<id>`.

mod folders;
mod specs;
mod wipe_rate;

use model::{BlockFormat, NodeName, StorageId, VolumeId};
use serde::{Deserialize, Serialize};

pub use self::folders::FolderNames;
pub use self::specs::{
    BtrfsSpec, CephFsSpec, CifsSpec, DirSpec, Exporter, FolderOptions, IscsiDirectSpec, IscsiSpec,
    LvmSpec, LvmThinSpec, NfsSpec, Preallocation, RbdSpec, ZfsPoolSpec, mount_point,
};
pub use self::wipe_rate::WipeRate;
use crate::{ContentType, StorageError, StorageType, VolumeName};

/// What a storage is: what all storages have, and what its type has besides. The record is one
/// flat object. Secrets are no part of it: a type that needs one keeps it below
/// `secret/storage/<id>`, and its driver is opened with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StorageConfig {
    #[serde(flatten)]
    pub common: CommonConfig,
    #[serde(flatten)]
    pub spec: StorageSpec,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommonConfig {
    pub id: StorageId,
    pub content: Vec<ContentType>,
    /// The nodes that have it; none: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nodes: Option<Vec<NodeName>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disable: Option<bool>,
    /// How fast copies from and to it may be, in KiB/s: `clone=1000,default=5000`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bwlimit: Option<String>,
}

/// What each type is configured by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum StorageSpec {
    Dir(DirSpec),
    Btrfs(BtrfsSpec),
    Nfs(NfsSpec),
    Cifs(CifsSpec),
    CephFs(CephFsSpec),
    Lvm(LvmSpec),
    LvmThin(LvmThinSpec),
    ZfsPool(ZfsPoolSpec),
    Rbd(RbdSpec),
    Iscsi(IscsiSpec),
    IscsiDirect(IscsiDirectSpec),
}

impl StorageConfig {
    /// A folder that takes every kind of content.
    pub fn dir(id: StorageId, path: impl Into<String>) -> Self {
        let path = path.into();
        let spec = StorageSpec::Dir(DirSpec {
            path,
            ..DirSpec::default()
        });
        Self::new(id, spec, ContentType::ALL.to_vec())
    }

    /// A storage that every node has.
    pub fn new(id: StorageId, spec: StorageSpec, content: Vec<ContentType>) -> Self {
        let common = CommonConfig {
            id,
            content,
            nodes: None,
            disable: None,
            bwlimit: None,
        };
        Self { common, spec }
    }

    pub fn id(&self) -> &StorageId {
        &self.common.id
    }

    /// Whether there may be a node that has both.
    pub fn meets(&self, other: &Self) -> bool {
        match (&self.common.nodes, &other.common.nodes) {
            (Some(ours), Some(theirs)) => ours.iter().any(|node| theirs.contains(node)),
            _ => true,
        }
    }

    pub fn is_enabled_on(&self, node: &NodeName) -> bool {
        let CommonConfig { nodes, disable, .. } = &self.common;
        let here = nodes.as_ref().is_none_or(|nodes| nodes.contains(node));
        here && *disable != Some(true)
    }

    /// What a volume's name says. `BadName` where it is none of this storage's.
    pub fn parse(&self, name: &str) -> Result<VolumeName, StorageError> {
        let bad = || StorageError::BadName(name.to_owned());
        self.spec.kind().parse(name).ok_or_else(bad)
    }

    /// A folder that is configured for two of its contents. Disks of virtual machines and of
    /// containers may have the same.
    pub fn shared_folder(&self) -> Option<String> {
        let names = self.spec.folder()?.content_dirs.as_ref()?;
        let is_disk =
            |content: &ContentType| matches!(content, ContentType::Images | ContentType::Rootdir);
        let content = &self.common.content;
        let all = content
            .iter()
            .filter(|content| !is_disk(content) || names.get(**content).is_some());
        let mut folders: Vec<&str> = all
            .map(|content| crate::dir::folder(names, *content))
            .collect();
        folders.sort_unstable();
        let twice = folders
            .windows(2)
            .find(|pair| pair.first() == pair.last())?;
        twice.first().map(|folder| (*folder).to_owned())
    }

    /// The format of a disk image, as its name says.
    pub fn image_format(&self, name: &str) -> Result<BlockFormat, StorageError> {
        let bad = || StorageError::BadName(name.to_owned());
        self.parse(name)?.image_format.ok_or_else(bad)
    }

    pub fn takes(&self, content: ContentType) -> bool {
        self.common.content.contains(&content)
    }
}

impl StorageSpec {
    pub fn kind(&self) -> StorageType {
        match self {
            Self::Dir(_) => StorageType::Dir,
            Self::Btrfs(_) => StorageType::Btrfs,
            Self::Nfs(_) => StorageType::Nfs,
            Self::Cifs(_) => StorageType::Cifs,
            Self::CephFs(_) => StorageType::CephFs,
            Self::Lvm(_) => StorageType::Lvm,
            Self::LvmThin(_) => StorageType::LvmThin,
            Self::ZfsPool(_) => StorageType::ZfsPool,
            Self::Rbd(_) => StorageType::Rbd,
            Self::Iscsi(_) => StorageType::Iscsi,
            Self::IscsiDirect(_) => StorageType::IscsiDirect,
        }
    }

    /// Whether all nodes see the same volumes, as is true of all storages of its type.
    pub fn is_always_shared(&self) -> bool {
        matches!(
            self,
            Self::Nfs(_)
                | Self::Cifs(_)
                | Self::CephFs(_)
                | Self::Rbd(_)
                | Self::Iscsi(_)
                | Self::IscsiDirect(_)
        )
    }

    /// Whether all nodes see the same volumes.
    pub fn is_shared(&self) -> bool {
        match self {
            Self::Dir(DirSpec { shared, .. })
            | Self::Btrfs(BtrfsSpec { shared, .. })
            | Self::Lvm(LvmSpec { shared, .. }) => *shared == Some(true),
            _ => self.is_always_shared(),
        }
    }

    /// Whether all that is written to it is encrypted, with a key that the cluster keeps.
    pub fn is_encrypted(&self) -> bool {
        let encrypted = match self {
            Self::ZfsPool(spec) => spec.encrypted,
            Self::Lvm(spec) => spec.encrypted,
            Self::LvmThin(spec) => spec.encrypted,
            _ => None,
        };
        encrypted == Some(true)
    }

    /// The member that exports it, where Ostler has made the export.
    pub fn exporter(&self) -> Option<&Exporter> {
        match self {
            Self::Nfs(spec) => spec.exporter.as_ref(),
            _ => None,
        }
    }

    /// Which group or pool of LVM has its volumes: `vg`, or `vg/pool`.
    pub fn volumes_at(&self) -> Option<String> {
        match self {
            Self::Lvm(spec) => Some(spec.vgname.clone()),
            Self::LvmThin(spec) => Some(format!("{}/{}", spec.vgname, spec.thinpool)),
            _ => None,
        }
    }

    /// The volume that it lies on, of another storage.
    pub fn base(&self) -> Option<&VolumeId> {
        match self {
            Self::Lvm(spec) => spec.base.as_ref(),
            _ => None,
        }
    }

    /// What is configured of the folder, of those that keep files.
    pub fn folder(&self) -> Option<&FolderOptions> {
        match self {
            Self::Dir(DirSpec { folder, .. })
            | Self::Btrfs(BtrfsSpec { folder, .. })
            | Self::Nfs(NfsSpec { folder, .. })
            | Self::Cifs(CifsSpec { folder, .. })
            | Self::CephFs(CephFsSpec { folder, .. }) => Some(folder),
            Self::Lvm(_)
            | Self::LvmThin(_)
            | Self::ZfsPool(_)
            | Self::Rbd(_)
            | Self::Iscsi(_)
            | Self::IscsiDirect(_) => None,
        }
    }

    /// Whether snapshots of its images of qcow2 are layers.
    pub fn has_layers(&self) -> bool {
        let configured = match self {
            Self::Lvm(spec) => spec.snapshot_as_volume_chain,
            _ => self
                .folder()
                .and_then(|folder| folder.snapshot_as_volume_chain),
        };
        configured == Some(true)
    }

    /// The formats that its images may have.
    pub fn formats(&self) -> &'static [BlockFormat] {
        match self {
            Self::Dir(_) | Self::Nfs(_) | Self::Cifs(_) => {
                &[BlockFormat::Raw, BlockFormat::Qcow2, BlockFormat::Vmdk]
            }
            Self::Lvm(_) if self.has_layers() => &[BlockFormat::Raw, BlockFormat::Qcow2],
            _ => &[BlockFormat::Raw],
        }
    }

    /// The format of a new image where the caller names none.
    pub fn default_format(&self) -> BlockFormat {
        let configured = self.folder().and_then(|folder| folder.format);
        configured.unwrap_or(match self {
            Self::Lvm(_) if self.has_layers() => BlockFormat::Qcow2,
            _ => BlockFormat::Raw,
        })
    }

    /// The format of a copy of an image where the caller names none: the original's, where it can
    /// be had here.
    pub fn format_of_copy(&self, original: BlockFormat) -> BlockFormat {
        match self.formats().contains(&original) {
            true => original,
            false => self.default_format(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_one_flat_object() {
        for text in [
            r#"{"id":"local","content":["images"],"type":"dir","path":"/var/lib/vz","shared":true}"#,
            r#"{"id":"thin","content":["images"],"type":"lvmthin","vgname":"pve","thinpool":"data"}"#,
            r#"{"id":"nas","content":["images"],"type":"nfs","server":"10.0.0.1","export":"/srv","preallocation":"off","content_dirs":"iso=discs"}"#,
            r#"{"id":"tank","content":["images"],"type":"zfspool","pool":"tank/guests","sparse":true}"#,
        ] {
            let config: StorageConfig = serde_json::from_str(text).unwrap();
            assert_eq!(serde_json::to_string(&config).unwrap(), text);
        }
    }
}
