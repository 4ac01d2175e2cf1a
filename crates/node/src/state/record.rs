//! The cluster's own record.

use serde::{Deserialize, Serialize};
use store::Key;

/// Exists once there is a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterRecord {
    pub name: String,
    /// Grows by one with each change of the membership.
    pub version: u64,
    /// Grows by one each time quorum is forced.
    #[serde(default)]
    pub generation: u64,
    /// The serial numbers of certificates that etcd refuses: those of removed nodes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub revoked: Vec<String>,
}

pub fn cluster_key() -> Key {
    Key::new("system/cluster").expect("a constant that is a key")
}
