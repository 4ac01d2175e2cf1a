//! What is configured of a storage; the record under `storage/<id>`.

use model::{BlockFormat, NodeName, StorageId};
use serde::{Deserialize, Serialize};

use crate::ContentType;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StorageType {
    Dir,
}

impl StorageType {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dir => "dir",
        }
    }
}

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

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StorageConfig {
    pub id: StorageId,
    #[serde(rename = "type")]
    pub kind: StorageType,
    /// Where a storage of files has its folders; absolute.
    pub path: String,
    pub content: Vec<ContentType>,
    /// The nodes that have it; none: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nodes: Option<Vec<NodeName>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disable: Option<bool>,
    /// All nodes see the same volumes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shared: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preallocation: Option<Preallocation>,
    /// Not usable while nothing is mounted there: `yes` for its own path, or another path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_mountpoint: Option<String>,
    /// The format of a new image where nobody names one.
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

impl StorageConfig {
    /// A folder that takes every kind of content.
    pub fn dir(id: StorageId, path: impl Into<String>) -> Self {
        Self {
            id,
            kind: StorageType::Dir,
            path: path.into(),
            content: ContentType::ALL.to_vec(),
            nodes: None,
            disable: None,
            shared: None,
            preallocation: None,
            is_mountpoint: None,
            format: None,
            create_base_path: None,
            create_subdirs: None,
            mkdir: None,
            prune_backups: None,
            max_protected_backups: None,
        }
    }

    pub fn is_enabled_on(&self, node: &NodeName) -> bool {
        let here = self.nodes.as_ref().is_none_or(|nodes| nodes.contains(node));
        here && self.disable != Some(true)
    }

    pub fn takes(&self, content: ContentType) -> bool {
        self.content.contains(&content)
    }

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

    fn plain() -> StorageConfig {
        StorageConfig::dir(StorageId::new("d2").unwrap(), "/srv/d2")
    }

    #[test]
    fn folders_are_made_unless_somebody_says_no() {
        assert!(plain().creates_base_path() && plain().creates_subdirs());
        let no = StorageConfig {
            mkdir: Some(false),
            ..plain()
        };
        assert!(!no.creates_base_path() && !no.creates_subdirs());
        let newer = StorageConfig {
            create_subdirs: Some(true),
            ..no
        };
        assert!(!newer.creates_base_path() && newer.creates_subdirs());
    }

    #[test]
    fn a_mount_point_is_the_path_itself_or_another() {
        let with = |text: &str| StorageConfig {
            is_mountpoint: Some(text.into()),
            ..plain()
        };
        assert_eq!(plain().mount_point(), None);
        assert_eq!(with("no").mount_point(), None);
        assert_eq!(with("yes").mount_point(), Some("/srv/d2"));
        assert_eq!(with("/srv").mount_point(), Some("/srv"));
    }

    #[test]
    fn a_record_of_the_first_version_still_decodes() {
        let text = r#"{"id":"local","type":"dir","path":"/var/lib/vz","content":["images"]}"#;
        let config: StorageConfig = serde_json::from_str(text).unwrap();
        assert_eq!(config.content, [ContentType::Images]);
    }
}
