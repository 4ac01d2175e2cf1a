//! The host's side of a guest's devices.

use std::collections::BTreeMap;

use model::BlockSpec;
use model::qemu::{DriveSlot, HostPci, PciSource, UsbSource};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::VmConfig;
use super::config::SerialPort;
use super::memory::HugePages;
use super::netdev::Tap;

/// The volume behind each drive that has one.
pub type Volumes = BTreeMap<DriveSlot, BlockSpec>;

/// The tap behind each network card that is on a bridge.
pub type Taps = BTreeMap<u8, Tap>;

/// The device file behind each USB device: a descriptor in the new process, or its path.
pub type Usbs = BTreeMap<u8, DeviceFile>;

/// The device file behind each serial or parallel port that is one of the host's, by its option.
pub type Ports = BTreeMap<String, DeviceFile>;

/// The functions of each PCI device of the host.
pub type Pcis = BTreeMap<u8, Vec<PciFunction>>;

/// A function of a PCI device of the host, or what one has made.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PciFunction {
    /// `0000:01:00.0`
    At(String),
    /// A mediated device.
    Mediated {
        /// The device that makes it.
        parent: String,
        kind: String,
        uuid: String,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeviceFile {
    Descriptor(i32),
    Path(String),
}

impl DeviceFile {
    /// The path by which QEMU opens it.
    pub(super) fn path(&self) -> String {
        match self {
            Self::Descriptor(number) => format!("/dev/fdset/{number}"),
            Self::Path(path) => path.clone(),
        }
    }

    /// The property that names it to QEMU's device.
    pub fn joined(&self) -> Map<String, Value> {
        Map::from_iter([("hostdevice".to_owned(), self.path().into())])
    }
}

/// The host's side of a guest's devices.
#[derive(Debug, Clone, Default)]
pub struct Behind {
    pub volumes: Volumes,
    pub taps: Taps,
    pub usbs: Usbs,
    pub ports: Ports,
    pub pcis: Pcis,
    /// The size of the pages of its memory, if not the kernel's usual one.
    pub page_mib: Option<u32>,
}

impl Behind {
    /// Everything but drives and cards, as the configuration names it. What a mapping is and how large
    /// pages are that the node chooses is known when the guest starts.
    pub fn by_name(config: &VmConfig) -> Self {
        let ports = config.ports_of_host();
        let pcis = config.pcis.iter();
        Self {
            usbs: config
                .usbs
                .iter()
                .map(|(index, usb)| (*index, DeviceFile::Path(usb_name(&usb.source))))
                .collect(),
            ports: ports
                .map(|(option, path)| (option, DeviceFile::Path(path.to_owned())))
                .collect(),
            pcis: pcis.map(|(index, pci)| (*index, pci_names(pci))).collect(),
            page_mib: config.huge_pages.map(|pages| match pages {
                HugePages::Any => 2,
                HugePages::Mib(mib) => mib,
            }),
            ..Self::default()
        }
    }
}

impl VmConfig {
    /// The options that give the guest serial and parallel ports of the host, with their paths.
    pub fn ports_of_host(&self) -> impl Iterator<Item = (String, &str)> {
        let serials = self.serials.iter().filter_map(|(number, end)| match end {
            SerialPort::Device(path) => Some((format!("serial{number}"), path.as_str())),
            SerialPort::Socket => None,
        });
        let parallels = self.parallels.iter();
        serials.chain(parallels.map(|(number, path)| (format!("parallel{number}"), path.as_str())))
    }
}

fn usb_name(source: &UsbSource) -> String {
    match source {
        UsbSource::Id(name) | UsbSource::Place(name) | UsbSource::Mapping(name) => name.clone(),
        UsbSource::Spice => "spice".to_owned(),
    }
}

fn pci_names(pci: &HostPci) -> Vec<PciFunction> {
    match &pci.source {
        PciSource::Devices(devices) => devices.iter().cloned().map(PciFunction::At).collect(),
        PciSource::Mapping(id) => vec![PciFunction::At(id.clone())],
    }
}
