//! What is configured of a storage; the record under `storage/<id>`.

use model::{NodeName, StorageId};
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
    /// Not usable while nothing is mounted there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_mountpoint: Option<String>,
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
        }
    }

    pub fn is_enabled_on(&self, node: &NodeName) -> bool {
        let here = self.nodes.as_ref().is_none_or(|nodes| nodes.contains(node));
        here && self.disable != Some(true)
    }

    pub fn takes(&self, content: ContentType) -> bool {
        self.content.contains(&content)
    }
}
