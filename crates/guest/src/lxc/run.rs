//! The agent's file on a container that it started, so that its successor can take it over.
//!
//! It has the place of a VM's file, and a field that a VM's lacks: `monitor`.

use model::{VmId, VolumeId};
use serde::{Deserialize, Serialize};

/// The contents of `/run/ostler/guests/VMID.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CtRunFile {
    pub vmid: VmId,
    /// `/proc/sys/kernel/random/boot_id`.
    pub boot_id: String,
    /// The process of LXC that looks after the container.
    #[serde(rename = "monitor")]
    pub pid: u32,
    /// Field 22 of `/proc/PID/stat`, in clock ticks since boot.
    pub start_time: u64,
    /// What is attached for it, to be let go when it has ended, and the epoch it was attached in.
    pub volumes: Vec<VolumeId>,
    pub epoch: u64,
}

impl CtRunFile {
    /// Whether this is the process with that identity.
    pub fn is_of(&self, boot_id: &str, pid: u32, start_time: u64) -> bool {
        self.boot_id == boot_id && self.pid == pid && self.start_time == start_time
    }
}
