//! The machine that a guest was started with: everything that it can see.

use model::qemu::DriveSlot;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What executes the guest's instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Accel {
    Kvm,
    Tcg,
}

impl Accel {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Kvm => "kvm",
            Self::Tcg => "tcg",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Firmware {
    SeaBios,
    /// UEFI with 2 MiB of flash.
    Ovmf2M,
    /// UEFI with 4 MiB of flash.
    Ovmf4M,
    /// UEFI with 4 MiB of flash and secure boot; needs system management mode.
    Ovmf4MSecure,
}

impl Firmware {
    /// The file with the firmware's code, below `RuntimePaths::firmware`; none for SeaBIOS, which
    /// is part of QEMU.
    pub fn code_file(self) -> Option<&'static str> {
        match self {
            Self::SeaBios => None,
            Self::Ovmf2M => Some("OVMF_CODE.fd"),
            Self::Ovmf4M => Some("OVMF_CODE_4M.fd"),
            Self::Ovmf4MSecure => Some("OVMF_CODE_4M.secboot.fd"),
        }
    }

    /// The template of the guest's own variables.
    pub fn variables_file(self) -> Option<&'static str> {
        match self {
            Self::SeaBios => None,
            Self::Ovmf2M => Some("OVMF_VARS.fd"),
            Self::Ovmf4M => Some("OVMF_VARS_4M.fd"),
            Self::Ovmf4MSecure => Some("OVMF_VARS_4M.ms.fd"),
        }
    }
}

/// The number of processors and their topology.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Processors {
    /// At start; the others can be plugged in later.
    pub online: u32,
    pub sockets: u32,
    pub cores: u32,
}

impl Processors {
    pub fn total(self) -> u32 {
        self.sockets * self.cores
    }
}

/// The host's side of a device. QEMU's ids follow from it, so that a device and its backend match.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Backend {
    /// Nothing: a bridge, a controller, a display.
    None,
    /// The volume at this place, or no medium.
    Drive(DriveSlot),
    Net(u8),
    Serial(u8),
    Parallel(u8),
    /// A function of a PCI device of the host.
    Pci {
        index: u8,
        function: u8,
    },
    /// A folder of the host.
    Share(u8),
    /// What the sound card plays goes there.
    Audio,
    /// A USB device of the host.
    Usb(u8),
    Agent,
    /// The TPM emulator.
    Tpm,
    /// Memory of this size.
    Memory {
        mib: u64,
    },
    Random {
        source: String,
    },
}

/// One device, as the guest sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Device {
    /// QEMU's id; also how it is unplugged.
    pub id: String,
    /// QEMU's name for this kind of device.
    pub driver: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bus: Option<String>,
    /// On a PCI bus: `slot` or `slot.function`, hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub addr: Option<String>,
    pub backend: Backend,
    /// An I/O thread of this name serves the device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iothread: Option<String>,
    /// All other properties that the guest can see.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub properties: Map<String, Value>,
}

impl Device {
    pub(super) fn new(driver: &str, id: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            driver: driver.to_owned(),
            bus: None,
            addr: None,
            backend: Backend::None,
            iothread: None,
            properties: Map::new(),
        }
    }

    pub(super) fn on(mut self, bus: impl Into<String>) -> Self {
        self.bus = Some(bus.into());
        self
    }

    pub(super) fn at(mut self, (bus, addr): (String, String)) -> Self {
        self.bus = Some(bus);
        self.addr = Some(addr);
        self
    }

    pub(super) fn backed_by(mut self, backend: Backend) -> Self {
        self.backend = backend;
        self
    }

    pub(super) fn with(mut self, property: &str, value: impl Into<Value>) -> Self {
        self.properties.insert(property.to_owned(), value.into());
        self
    }

    pub(super) fn with_some(self, property: &str, value: Option<impl Into<Value>>) -> Self {
        match value {
            Some(value) => self.with(property, value),
            None => self,
        }
    }

    /// The arguments of `device_add`, and of `-device`. `backend` has the properties that refer to
    /// the host's side (`drive`, `netdev`, …).
    pub fn arguments(&self, backend: Map<String, Value>) -> Map<String, Value> {
        let mut arguments = Map::new();
        let mut put = |key: &str, value: &str| arguments.insert(key.to_owned(), value.into());
        put("driver", &self.driver);
        put("id", &self.id);
        if let Some(bus) = &self.bus {
            put("bus", bus);
        }
        if let Some(addr) = &self.addr {
            put("addr", addr);
        }
        if let Some(iothread) = &self.iothread {
            put("iothread", iothread);
        }
        arguments.extend(backend);
        arguments.extend(self.properties.clone());
        arguments
    }
}

/// A NUMA node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NumaNode {
    /// Ranges, both ends included.
    pub cpus: Vec<(u32, u32)>,
    pub memory_mib: u64,
    /// NUMA nodes of the host for the memory, and the policy.
    pub host_nodes: Vec<(u32, u32)>,
    pub policy: Option<String>,
}

/// Everything that a running guest can see of its machine. Two QEMU processes with the same value
/// are the same machine: it is part of migrations, RAM snapshots and suspended guests.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunningAs {
    /// The version of the layout that chose the addresses.
    pub layout: u32,
    /// The version of QEMU at the start.
    pub qemu: String,
    /// With its version: `pc-i440fx-7.2`, never `pc`.
    pub machine: String,
    /// More options of `-machine`, in order.
    pub machine_options: Vec<(String, String)>,
    pub accel: Accel,
    /// The whole of `-cpu`.
    pub cpu: String,
    pub processors: Processors,
    /// Without hot-plugged memory.
    pub memory_mib: u64,
    /// The maximum memory with hot-plugged modules.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_max_mib: Option<u64>,
    /// Memory and processors are divided among this many nodes; 0 for none.
    pub numa_nodes: u32,
    /// The content of each node, if it is configured.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub numa: Vec<NumaNode>,
    pub firmware: Firmware,
    /// The text after `type=1,` in `-smbios`, quoted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub smbios: Option<String>,
    /// The whole of `-rtc`.
    pub rtc: String,
    /// Each the whole of a `-global`.
    pub globals: Vec<String>,
    /// In the order of their creation.
    pub devices: Vec<Device>,
}

impl RunningAs {
    pub fn device(&self, id: &str) -> Option<&Device> {
        self.devices.iter().find(|device| device.id == id)
    }

    /// All memory, including plugged modules.
    pub fn total_memory_mib(&self) -> u64 {
        let plugged = self.devices.iter().map(|device| match device.backend {
            Backend::Memory { mib } => mib,
            _ => 0,
        });
        self.memory_mib + plugged.sum::<u64>()
    }

    /// The devices to plug into this running guest so that it gets the device with this backend
    /// from `planned`, a plan for the changed configuration. `None` if that is impossible while it
    /// runs: the device is not planned, exists already, or needs a bridge that is missing and
    /// cannot be plugged.
    pub fn plug(&self, planned: &Self, backend: &Backend) -> Option<Vec<Device>> {
        let device = planned
            .devices
            .iter()
            .find(|device| device.backend == *backend)?;
        if self.device(&device.id).is_some() {
            return None;
        }
        let mut missing = vec![device.clone()];
        // A bus is named after its device: `virtioscsi3.0` is that of `virtioscsi3`.
        let mut above = parent(planned, device);
        while let Some(device) = above {
            if self.device(&device.id).is_some() {
                break;
            }
            let pluggable = !device.driver.contains("bridge")
                && !device.driver.contains("port")
                && !device.driver.contains("ahci");
            if !pluggable {
                return None;
            }
            missing.insert(0, device.clone());
            above = parent(planned, device);
        }
        Some(missing)
    }
}

fn parent<'a>(planned: &'a RunningAs, device: &Device) -> Option<&'a Device> {
    let bus = device.bus.as_deref()?;
    let by_name = |name: &str| planned.device(name);
    by_name(bus).or_else(|| bus.rsplit_once('.').and_then(|(name, _)| by_name(name)))
}
