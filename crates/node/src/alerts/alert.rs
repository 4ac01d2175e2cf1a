//! An alert, and the condition that it is made of.

use std::fmt;
use std::time::Duration;

use model::{NodeName, StorageId, UnixTime, VmId};
use serde::{Deserialize, Serialize};

/// How much an alert matters. In order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// It works, and will not if this goes on or something else fails.
    Warning,
    /// Something does not work.
    Error,
}

/// What an alert is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    Cluster,
    Node(NodeName),
    Guest(VmId),
    Storage { node: NodeName, storage: StorageId },
}

impl fmt::Display for Subject {
    /// As lists name it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cluster => f.write_str("cluster"),
            Self::Node(name) => write!(f, "node/{name}"),
            Self::Guest(vmid) => write!(f, "qemu/{vmid}"),
            Self::Storage { node, storage } => write!(f, "storage/{node}/{storage}"),
        }
    }
}

/// An open alert.
#[derive(Debug, Clone, PartialEq)]
pub struct Alert {
    /// The same for as long as it is the same trouble: `storage-full/pve1/local`.
    pub id: String,
    pub severity: Severity,
    pub subject: Subject,
    pub since: UnixTime,
    /// What is wrong: one sentence.
    pub text: String,
    /// What to do: one sentence.
    pub advice: String,
}

/// What a rule has found. It is an alert once it has lasted.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Condition {
    pub(super) id: String,
    pub(super) severity: Severity,
    pub(super) subject: Subject,
    pub(super) text: String,
    pub(super) advice: String,
    /// None: since it was first seen.
    pub(super) since: Option<UnixTime>,
    pub(super) patience: Patience,
}

/// How long a condition lasts until it is an alert, and is gone until it is none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Patience {
    pub(super) opens: Duration,
    pub(super) closes: Duration,
}

impl Patience {
    pub(super) const fn of(opens_s: u64, closes_s: u64) -> Self {
        Self {
            opens: Duration::from_secs(opens_s),
            closes: Duration::from_secs(closes_s),
        }
    }
}
