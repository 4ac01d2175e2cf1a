//! The record of a guest: everything that the cluster stores about it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{NodeName, UnixTime, Upid, VmId, VolumeId};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GuestKind {
    Qemu,
    Lxc,
}

impl GuestKind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Qemu => "qemu",
            Self::Lxc => "lxc",
        }
    }

    /// What texts of Proxmox VE call such a guest.
    pub fn word(self) -> &'static str {
        match self {
            Self::Qemu => "VM",
            Self::Lxc => "CT",
        }
    }
}

/// The task that holds a guest's lock. The lock does not expire: it is released by the task, by
/// recovery on its node, or by a takeover that fenced the node and raised the epoch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Busy {
    /// The task, or the synchronous operation's journal entry, that holds the guest.
    pub upid: Upid,
    pub node: NodeName,
    pub epoch: u64,
    /// The value of `lock` in Proxmox VE's API meanwhile, e.g. `create`; empty for none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub shown_as: String,
}

/// The options of a guest as `GET …/config` shows them: name to string or number.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct GuestConfig(pub BTreeMap<String, Value>);

impl GuestConfig {
    pub fn text(&self, option: &str) -> Option<String> {
        match self.0.get(option)? {
            Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        }
    }

    pub fn integer(&self, option: &str) -> Option<i64> {
        match self.0.get(option)? {
            Value::Number(number) => number.as_i64(),
            Value::String(text) => text.parse().ok(),
            _ => None,
        }
    }

    /// A flag is stored as the number 0 or 1.
    pub fn flag(&self, option: &str) -> Option<bool> {
        self.integer(option).map(|number| number != 0)
    }

    pub fn set(&mut self, option: impl Into<String>, value: impl Into<Value>) {
        self.0.insert(option.into(), value.into());
    }

    /// The lines that the configuration's digest is made of: `name: value`, sorted by name.
    pub fn canonical_text(&self) -> String {
        let mut text = String::new();
        for name in self.0.keys() {
            let value = self.text(name).unwrap_or_default();
            text.push_str(&format!("{name}: {}\n", value.replace('\n', "\\n")));
        }
        text
    }
}

/// A change that waits for the guest's next start.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PendingChange {
    Set(Value),
    Delete {
        /// Also remove the volume that the option names.
        force: bool,
    },
}

/// A guest's memory and the state of its devices, in a volume.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SavedMemory {
    pub volume: VolumeId,
    /// The machine that the guest ran on: only an identical machine can load this memory.
    pub running_as: Value,
}

/// Why a snapshot is incomplete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SnapshotState {
    /// It is being taken.
    Prepare,
    /// It is being deleted.
    Delete,
}

impl SnapshotState {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Prepare => "prepare",
            Self::Delete => "delete",
        }
    }
}

/// A snapshot of a guest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The options at that time, without the guest's description and unused volumes.
    pub config: GuestConfig,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The parent snapshot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    pub created: UnixTime,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<SavedMemory>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<SnapshotState>,
    /// The snapshot job that made it, and may take it away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<String>,
}

/// A guest. Usage and status are never here: they are observed, not decided.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GuestRecord {
    pub vmid: VmId,
    pub kind: GuestKind,
    /// The node that owns the guest; only its agent runs it.
    pub node: NodeName,
    /// Raised by every change of owner.
    pub epoch: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub busy: Option<Busy>,
    pub config: GuestConfig,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub pending: BTreeMap<String, PendingChange>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub snapshots: BTreeMap<String, Snapshot>,
    /// The memory of a guest that was suspended to disk; the next start resumes from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspended: Option<SavedMemory>,
    /// The snapshot with memory that the guest was just rolled back to. The disks match that memory
    /// until the next start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wakes_at: Option<String>,
    pub created: UnixTime,
}

impl GuestRecord {
    /// A guest that has no options and has never changed its owner.
    pub fn new(vmid: VmId, kind: GuestKind, node: NodeName, created: UnixTime) -> Self {
        Self {
            vmid,
            kind,
            node,
            epoch: 1,
            busy: None,
            config: GuestConfig::default(),
            pending: BTreeMap::new(),
            snapshots: BTreeMap::new(),
            suspended: None,
            wakes_at: None,
            created,
        }
    }
}
