//! What an agent remembers of a guest that it started, so that its successor can take it over.

use model::VmId;
use serde::{Deserialize, Serialize};

use crate::qemu::{RunningAs, RuntimePaths, VmConfig};

/// Where to reach a running guest. Paths are absolute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sockets {
    /// QMP for commands.
    pub control: String,
    /// QMP for events; one socket serves one client.
    pub events: String,
    /// Left out where the guest has no display.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vnc: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// By number of the port; a port may be missing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub serial: Vec<(u8, String)>,
}

impl Sockets {
    pub fn new(config: &VmConfig, paths: &RuntimePaths) -> Self {
        Self {
            control: paths.control(),
            events: paths.events(),
            vnc: config.has_framebuffer().then(|| paths.vnc()),
            agent: config.agent.enabled.then(|| paths.agent()),
            serial: config
                .serials
                .iter()
                .map(|port| (*port, paths.serial(*port)))
                .collect(),
        }
    }
}

/// The contents of `/run/ostler/guests/VMID.json`.
///
/// A process is known by boot, pid and start time together: a pid alone is used again, and after
/// a reboot so is the pair.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunFile {
    pub vmid: VmId,
    /// `/proc/sys/kernel/random/boot_id`.
    pub boot_id: String,
    pub pid: u32,
    /// Field 22 of `/proc/PID/stat`, in clock ticks since boot.
    pub start_time: u64,
    pub running_as: RunningAs,
    pub sockets: Sockets,
}

impl RunFile {
    /// Whether this is the process with that identity.
    pub fn is_of(&self, boot_id: &str, pid: u32, start_time: u64) -> bool {
        self.boot_id == boot_id && self.pid == pid && self.start_time == start_time
    }
}
