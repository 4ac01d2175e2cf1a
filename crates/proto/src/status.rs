//! The observed status of a node, its guests and its storages.
//!
//! Status is never stored: each agent measures it, and streams changes in the watch that also feeds
//! copies of the store.

use model::{NodeName, Pressure, StorageId, VmId};
use serde::{Deserialize, Serialize};

use crate::alerts::{Alert, OpenAlert};

/// One message of the api's watch. `S` is a message of the store's feed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WatchMessage<S> {
    Store(S),
    Status(StatusUpdate),
    /// The agent's store has lost its majority, and its copy is of so many seconds ago; none: it has
    /// one. Sent when that changes, and before the rest if there is no majority at the beginning.
    Outage(Option<u64>),
    /// All alerts, worst first, whenever they have changed.
    Alerts(Vec<OpenAlert>),
}

/// One message of a watch between agents.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PeerMessage {
    /// The sender's own status.
    Status(StatusUpdate),
    /// The sender lives and has nothing else to say. Sent every second.
    Beat {
        /// Of the state that the sender has; none while it does not know.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        generation: Option<u64>,
        /// None from agents that do not send it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        state: Option<PeerState>,
    },
}

/// What an agent has of the cluster's state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerState {
    /// Whether it can change the state.
    pub quorate: bool,
    /// The newest revision in its copy.
    pub revision: u64,
}

/// The changes on a node since the previous message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StatusUpdate {
    pub node: NodeName,
    /// The node is not heard any more, so nothing of it is known. The next message is complete.
    #[serde(default, skip_serializing_if = "is_false")]
    pub silent: bool,
    /// True if the list of guests is complete: a guest that is not in it does not run.
    #[serde(default)]
    pub complete: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<NodeUsage>,
    /// Running guests, and those that have stopped since.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub guests: Vec<GuestUsage>,
    /// All storages of the node, if any of them changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storages: Option<Vec<StorageUsage>>,
    /// All alerts about the node and what is on it, if any of them changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alerts: Option<Vec<Alert>>,
}

impl StatusUpdate {
    /// An update that says nothing yet.
    pub fn of(node: NodeName) -> Self {
        Self {
            node,
            silent: false,
            complete: false,
            usage: None,
            guests: Vec::new(),
            storages: None,
            alerts: None,
        }
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_false(value: &bool) -> bool {
    !value
}

/// Resources of a node and their use. Sizes are bytes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct NodeUsage {
    /// Busy part of all processors, 0 to 1.
    pub cpu: f64,
    /// Share of the processors' time spent waiting for disks, 0 to 1.
    pub wait: f64,
    pub cpus: u32,
    pub memory: u64,
    pub memory_total: u64,
    /// Of the file system that contains the node's root.
    pub disk: u64,
    pub disk_total: u64,
    pub uptime_s: u64,
    /// The version of control groups, 1 or 2.
    pub cgroup: u8,
}

/// Resource use of a guest. Counters begin at 0 with every start of the guest; sizes are bytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GuestUsage {
    pub vmid: VmId,
    /// False in the last message about a guest that has stopped; the figures are 0 then.
    pub running: bool,
    #[serde(default)]
    pub pid: u32,
    /// Those of its node, of a container; 0 of a VM.
    #[serde(default)]
    pub cpus: u32,
    /// Swapped out, of a container.
    #[serde(default)]
    pub swap: u64,
    #[serde(default)]
    pub uptime_s: u64,
    /// Processors of the host in use: 1.5 is one and a half.
    #[serde(default)]
    pub cpus_busy: f64,
    /// Memory of the host that the guest's scope uses.
    #[serde(default)]
    pub memory: u64,
    #[serde(default)]
    pub disk_read: u64,
    #[serde(default)]
    pub disk_written: u64,
    /// Received by the guest.
    #[serde(default)]
    pub net_in: u64,
    /// Sent by the guest.
    #[serde(default)]
    pub net_out: u64,
    /// QEMU's run state: `running`, `paused`, `prelaunch`; none if it did not answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub qmp_status: Option<String>,
    /// Pressure figures, if the kernel has them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pressure: Option<Pressure>,
    /// Memory figures from the guest, if it has a balloon and reports them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub balloon: Option<Balloon>,
    /// Its network cards; only known on its own node, since lists do not show them.
    #[serde(skip)]
    pub nics: Vec<NicUsage>,
}

impl GuestUsage {
    /// A stopped guest.
    pub fn stopped(vmid: VmId) -> Self {
        Self {
            vmid,
            running: false,
            pid: 0,
            cpus: 0,
            swap: 0,
            uptime_s: 0,
            cpus_busy: 0.0,
            memory: 0,
            disk_read: 0,
            disk_written: 0,
            net_in: 0,
            net_out: 0,
            qmp_status: None,
            pressure: None,
            balloon: None,
            nics: Vec::new(),
        }
    }
}

/// The memory balloon of a guest. Sizes are bytes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Balloon {
    /// The memory that the balloon leaves to the guest.
    pub actual: u64,
    /// The memory at start.
    pub max: u64,
    /// When the guest last reported, in seconds since 1970; 0 for never.
    #[serde(default)]
    pub last_update: i64,
    /// The guest's own figures, as far as it reports them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub free: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub major_faults: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minor_faults: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub swapped_in: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub swapped_out: Option<u64>,
}

impl Balloon {
    /// The memory in use inside the guest.
    pub fn used(&self) -> Option<u64> {
        Some(self.total?.saturating_sub(self.free?))
    }
}

impl GuestUsage {
    /// The memory in use as the guest reports it, else that of its process; at most `most`.
    pub fn memory_used(&self, most: u64) -> u64 {
        let told = self.balloon.as_ref().and_then(Balloon::used);
        told.unwrap_or(self.memory).min(most)
    }
}

/// One network card of a guest, by its link on the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NicUsage {
    pub link: String,
    pub net_in: u64,
    pub net_out: u64,
}

/// Space of a storage, as its node sees it. Sizes are bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StorageUsage {
    pub storage: StorageId,
    /// Whether the storage answered.
    pub active: bool,
    pub used: u64,
    pub total: u64,
    /// Since when it does not answer; in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unreachable_since: Option<i64>,
    /// What is wrong with it although it answers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub troubles: Vec<StorageTrouble>,
}

/// Something that is wrong with a storage: a mirror that has lost a disk, metadata that fills.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StorageTrouble {
    /// A word that stays the same while it lasts.
    pub kind: String,
    pub text: String,
    pub advice: String,
}
