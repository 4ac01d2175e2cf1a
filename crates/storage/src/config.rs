//! What is configured of a storage; the record under `storage/<id>`.

use model::{BlockFormat, NodeName, StorageId};
use serde::{Deserialize, Serialize};

use crate::{ContentType, StorageError, StorageType, VolumeName};

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
}

/// What each type is configured by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum StorageSpec {
    Dir(DirSpec),
    LvmThin(LvmThinSpec),
}

/// A folder of files.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DirSpec {
    /// Where its folders are; absolute.
    pub path: String,
    /// All nodes see the same volumes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shared: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preallocation: Option<Preallocation>,
    /// Not usable while nothing is mounted there: `yes` for its own path, or another path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_mountpoint: Option<String>,
    /// The format of a new image if none is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<BlockFormat>,
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

/// Thin volumes in a pool of LVM's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LvmThinSpec {
    /// The volume group.
    pub vgname: String,
    /// The pool in it.
    pub thinpool: String,
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
        };
        Self { common, spec }
    }

    pub fn id(&self) -> &StorageId {
        &self.common.id
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
            Self::LvmThin(_) => StorageType::LvmThin,
        }
    }

    /// Whether all nodes see the same volumes.
    pub fn is_shared(&self) -> bool {
        match self {
            Self::Dir(spec) => spec.shared == Some(true),
            Self::LvmThin(_) => false,
        }
    }

    /// The format of a new image where the caller names none.
    pub fn default_format(&self) -> BlockFormat {
        match self {
            Self::Dir(spec) => spec.format.unwrap_or(BlockFormat::Raw),
            Self::LvmThin(_) => BlockFormat::Raw,
        }
    }

    /// The format of a copy of an image where the caller names none: the original's, where it can
    /// be had here.
    pub fn format_of_copy(&self, original: BlockFormat) -> BlockFormat {
        match self.kind().formats().contains(&original) {
            true => original,
            false => self.default_format(),
        }
    }
}

impl DirSpec {
    pub fn creates_base_path(&self) -> bool {
        self.create_base_path.or(self.mkdir).unwrap_or(true)
    }

    pub fn creates_subdirs(&self) -> bool {
        self.create_subdirs.or(self.mkdir).unwrap_or(true)
    }

    /// The path that something must be mounted on before the storage may be used.
    pub fn mount_point(&self) -> Option<&str> {
        match self.is_mountpoint.as_deref()? {
            "yes" | "1" | "on" | "true" => Some(&self.path),
            "no" | "0" | "off" | "false" => None,
            path => Some(path),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain() -> DirSpec {
        DirSpec {
            path: "/srv/d2".into(),
            ..DirSpec::default()
        }
    }

    #[test]
    fn folders_are_made_unless_configured_otherwise() {
        assert!(plain().creates_base_path() && plain().creates_subdirs());
        let no = DirSpec {
            mkdir: Some(false),
            ..plain()
        };
        assert!(!no.creates_base_path() && !no.creates_subdirs());
        let newer = DirSpec {
            create_subdirs: Some(true),
            ..no
        };
        assert!(!newer.creates_base_path() && newer.creates_subdirs());
    }

    #[test]
    fn a_mount_point_is_the_path_itself_or_another() {
        let with = |text: &str| DirSpec {
            is_mountpoint: Some(text.into()),
            ..plain()
        };
        assert_eq!(plain().mount_point(), None);
        assert_eq!(with("no").mount_point(), None);
        assert_eq!(with("yes").mount_point(), Some("/srv/d2"));
        assert_eq!(with("/srv").mount_point(), Some("/srv"));
    }

    #[test]
    fn a_record_is_one_flat_object() {
        for text in [
            r#"{"id":"local","content":["images"],"type":"dir","path":"/var/lib/vz","shared":true}"#,
            r#"{"id":"thin","content":["images"],"type":"lvmthin","vgname":"pve","thinpool":"data"}"#,
        ] {
            let config: StorageConfig = serde_json::from_str(text).unwrap();
            assert_eq!(serde_json::to_string(&config).unwrap(), text);
        }
    }
}
