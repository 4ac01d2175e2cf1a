//! What is observed of a node, its guests and its storages.
//!
//! Status is never stored: each agent looks, and streams what has changed inside the watch that
//! also feeds copies of the store.

use model::{NodeName, Pressure, StorageId, VmId};
use serde::{Deserialize, Serialize};

/// One message of a watch. `S` is what the store's feed says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WatchMessage<S> {
    Store(S),
    Status(StatusUpdate),
}

/// What has changed on a node since the message before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StatusUpdate {
    pub node: NodeName,
    /// This is all there is: a guest that is not named does not run.
    #[serde(default)]
    pub complete: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<NodeUsage>,
    /// Guests that run, and those that have ended since.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub guests: Vec<GuestUsage>,
    /// All storages of the node, where something about one has changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storages: Option<Vec<StorageUsage>>,
}

/// What a node has and uses. Sizes are bytes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct NodeUsage {
    /// Busy part of all processors, 0 to 1.
    pub cpu: f64,
    /// Part of the processors' time that was spent waiting for disks, 0 to 1.
    pub wait: f64,
    pub cpus: u32,
    pub memory: u64,
    pub memory_total: u64,
    /// Of the file system that the node's root lies on.
    pub disk: u64,
    pub disk_total: u64,
    pub uptime_s: u64,
    /// The version of control groups, 1 or 2.
    pub cgroup: u8,
}

/// What a guest uses. Counters begin at 0 with every start of the guest; sizes are bytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GuestUsage {
    pub vmid: VmId,
    /// False in the last word about a guest that has ended; the figures are 0 then.
    pub running: bool,
    #[serde(default)]
    pub pid: u32,
    #[serde(default)]
    pub uptime_s: u64,
    /// Processors of the host that it keeps busy: 1.5 is one and a half.
    #[serde(default)]
    pub cpus_busy: f64,
    /// What its scope takes of the host's memory.
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
    /// QEMU's own word: `running`, `paused`, `prelaunch`; none where it did not answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub qmp_status: Option<String>,
    /// How long it had to wait, where the kernel counts that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pressure: Option<Pressure>,
    /// What the guest says of its memory, where it has a balloon and says something.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub balloon: Option<Balloon>,
    /// Its network cards; known on its own node only, since lists do not show them.
    #[serde(skip)]
    pub nics: Vec<NicUsage>,
}

impl GuestUsage {
    /// A guest that does not run.
    pub fn stopped(vmid: VmId) -> Self {
        Self {
            vmid,
            running: false,
            pid: 0,
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
    /// What the balloon leaves to the guest.
    pub actual: u64,
    /// What the guest was started with.
    pub max: u64,
    /// When the guest last told, in seconds since 1970; 0 for never.
    #[serde(default)]
    pub last_update: i64,
    /// The guest's own figures, each where it has one.
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
    /// What the guest itself uses.
    pub fn used(&self) -> Option<u64> {
        Some(self.total?.saturating_sub(self.free?))
    }
}

impl GuestUsage {
    /// The memory that the guest uses by its own account, or its process where it has none;
    /// never more than `most`.
    pub fn memory_used(&self, most: u64) -> u64 {
        let told = self.balloon.as_ref().and_then(Balloon::used);
        told.unwrap_or(self.memory).min(most)
    }
}

/// One network card of a guest, by the name of its link on the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NicUsage {
    pub link: String,
    pub net_in: u64,
    pub net_out: u64,
}

/// How full a storage is, as its node sees it. Sizes are bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StorageUsage {
    pub storage: StorageId,
    /// It answered.
    pub active: bool,
    pub used: u64,
    pub total: u64,
}
