//! The agent's file on a guest that it started, so that its successor can take the guest over.

use model::{VmId, VolumeId};
use serde::{Deserialize, Serialize};

use crate::qemu::{PciFunction, RunningAs, RuntimePaths, SerialPort, VmConfig};

/// The sockets of a running guest. Paths are absolute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sockets {
    /// QMP. A socket serves one client at a time.
    pub control: String,
    /// None if the guest has no display.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vnc: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// By port number; numbers may be missing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub serial: Vec<(u8, String)>,
}

impl Sockets {
    pub fn new(config: &VmConfig, paths: &RuntimePaths) -> Self {
        Self {
            control: paths.control(),
            vnc: config.has_framebuffer().then(|| paths.vnc()),
            agent: config.agent.enabled.then(|| paths.agent()),
            serial: config
                .serials
                .iter()
                .filter(|(_, end)| **end == SerialPort::Socket)
                .map(|(port, _)| (*port, paths.serial(*port)))
                .collect(),
        }
    }
}

/// The contents of `/run/ostler/guests/VMID.json`.
///
/// A process is identified by boot, pid and start time together: a pid alone is reused, and after a
/// reboot so is pid and start time.
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
    /// The uid and gid of the process; none in files from before each guest had its own.
    #[serde(default)]
    pub user: Option<(u32, u32)>,
    /// What is attached for it, to be let go when it has ended, and the epoch it was attached in.
    #[serde(default)]
    pub volumes: Vec<VolumeId>,
    #[serde(default)]
    pub epoch: u64,
    /// Functions of PCI devices of the host that are its own while it runs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pcis: Vec<PciFunction>,
    /// The size of the pages of its memory, if not the kernel's usual one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page_mib: Option<u32>,
    /// Pages that were made for it, to be given back when it has ended.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub made_pages: Vec<HugePool>,
}

/// Huge pages of one size and place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HugePool {
    pub page_mib: u32,
    /// The node of the host's memory that they are on; wherever there is room if none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<u32>,
    pub count: u64,
}

impl RunFile {
    /// Whether this is the process with that identity.
    pub fn is_of(&self, boot_id: &str, pid: u32, start_time: u64) -> bool {
        self.boot_id == boot_id && self.pid == pid && self.start_time == start_time
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::qemu::{Accel, QemuInfo, QemuVersion, plan};
    use model::GuestConfig;

    #[test]
    fn a_run_file_reads_back() {
        let mut options = GuestConfig::default();
        options.set("serial1", "socket");
        options.set("net0", "virtio=BC:24:11:00:00:01,link_down=1");
        let config = VmConfig::parse(&options).unwrap();
        assert_eq!(config.pulled_cables(), ["net0"]);
        let qemu = QemuInfo::new(QemuVersion {
            major: 7,
            minor: 2,
            micro: 0,
        });
        let file = RunFile {
            vmid: "100".parse().unwrap(),
            boot_id: "b".to_owned(),
            pid: 7,
            start_time: 9,
            running_as: plan(&config, &qemu, Accel::Tcg).unwrap(),
            sockets: Sockets::new(&config, &RuntimePaths::new("/run/ostler/guests/100")),
            user: Some((1_879_048_292, 1_879_048_292)),
            volumes: vec!["local:100/vm-100-disk-0.raw".parse().unwrap()],
            epoch: 1,
            pcis: vec![PciFunction::At("0000:01:00.0".to_owned())],
            page_mib: Some(2),
            made_pages: vec![HugePool {
                page_mib: 2,
                node: None,
                count: 64,
            }],
        };
        let text = serde_json::to_string(&file).unwrap();
        let read: RunFile = serde_json::from_str(&text).unwrap();
        assert_eq!(read, file);
        assert!(read.is_of("b", 7, 9) && !read.is_of("c", 7, 9) && !read.is_of("b", 7, 8));
        // A guest from before guests had users of their own continues to run.
        let mut earlier: serde_json::Value = serde_json::from_str(&text).unwrap();
        for later in ["user", "volumes", "epoch"] {
            earlier.as_object_mut().unwrap().remove(later);
        }
        let earlier: RunFile = serde_json::from_value(earlier).unwrap();
        assert_eq!((earlier.user, earlier.pid), (None, 7));
        let serial = (1, "/run/ostler/guests/100/serial1.sock".to_owned());
        assert_eq!(
            (read.sockets.serial, read.sockets.agent),
            (vec![serial], None)
        );
    }
}
