//! The records of the cluster itself, and of its witness.

use model::NodeName;
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

pub(crate) fn witness_key() -> Key {
    Key::new("system/witness").expect("a constant that is a key")
}

/// The witness of a cluster, which has one at most.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Witness {
    pub name: NodeName,
    /// Where its etcd listens: an IP address.
    pub address: String,
    pub votes: u32,
    /// It has opened the state with its certificate.
    #[serde(default)]
    pub is_there: bool,
    /// The public keys (PEM) of its client of etcd and of its etcd, and the certificates for them.
    pub client_key: String,
    pub server_key: String,
    pub client_certificate: String,
    pub server_certificate: String,
    /// The serial numbers of all certificates that it was given.
    pub serials: Vec<String>,
    /// What its etcd refuses, and as a signed list (DER) in base64: the witness cannot sign.
    pub revoked: Vec<String>,
    pub revocations: String,
}
