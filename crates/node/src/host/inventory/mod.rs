//! What a machine is made of, as the kernel shows it: for people who want to know what they have,
//! and where a disk or a cable is.
//!
//! What a machine does not say is left out; nothing here fails for it.

mod controllers;
mod cpu;
mod disks;
mod memory;
mod ports;
mod time;

use std::path::Path;

use serde::Serialize;
use sys::SharedHost;

use crate::host::facts::Facts;

pub use controllers::Controller;
pub use cpu::{Cpu, NumaNode};
pub use disks::Disk;
pub use memory::Module;
pub use ports::Port;
pub use time::Time;

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Inventory {
    pub system: System,
    pub cpu: Cpu,
    /// Places for memory modules; none where the firmware has no table of them.
    pub memory: Vec<Module>,
    pub numa: Vec<NumaNode>,
    pub controllers: Vec<Controller>,
    pub disks: Vec<Disk>,
    pub ports: Vec<Port>,
    pub firmware: Vec<Firmware>,
    pub time: Time,
}

/// The machine as its firmware calls it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct System {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vendor: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
    /// The main board, where it has a name of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub board: Option<String>,
    #[serde(rename = "board-serial", skip_serializing_if = "Option::is_none")]
    pub board_serial: Option<String>,
}

/// The version of a firmware, and of what it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Firmware {
    pub of: String,
    pub version: String,
}

const DMI: &str = "/sys/class/dmi/id";

/// What boards without a name have in its place.
const NO_NAMES: [&str; 7] = [
    "default string",
    "not specified",
    "none",
    "o.e.m.",
    "system product name",
    "to be filled by o.e.m.",
    "unknown",
];

/// Reads all of it.
pub async fn inventory(host: &SharedHost) -> Inventory {
    let facts = Facts::new(host.clone());
    let disks = disks::disks(host, &facts).await;
    let ports = ports::ports(host, &facts).await;
    let controllers = controllers::controllers(host, &facts, &disks, &ports).await;
    let (cpu, numa) = (cpu::cpu(&facts).await, cpu::numa(host, &facts).await);
    Inventory {
        system: system(&facts).await,
        firmware: firmware(&facts, &cpu, &disks, &ports).await,
        time: time::time(host).await,
        memory: memory::modules(host).await,
        cpu,
        numa,
        controllers,
        disks,
        ports,
    }
}

async fn system(facts: &Facts) -> System {
    let named = async |name: &str| name_of(&facts.text(&format!("{DMI}/{name}")).await);
    let board = [named("board_vendor").await, named("board_name").await];
    let board: Vec<String> = board.into_iter().flatten().collect();
    let (vendor, model) = (named("sys_vendor").await, named("product_name").await);
    let board =
        Some(board.join(" ")).filter(|board| !board.is_empty() && Some(board) != model.as_ref());
    System {
        vendor,
        model,
        serial: named("product_serial").await,
        board,
        board_serial: named("board_serial").await,
    }
}

async fn firmware(facts: &Facts, cpu: &Cpu, disks: &[Disk], ports: &[Port]) -> Vec<Firmware> {
    let mut all = Vec::new();
    let mut add = |of: &str, version: Option<String>| {
        all.extend(version.map(|version| Firmware {
            of: of.to_owned(),
            version,
        }));
    };
    let bios = [
        some(facts.text(&format!("{DMI}/bios_version")).await),
        some(facts.text(&format!("{DMI}/bios_date")).await),
    ];
    let bios: Vec<String> = bios.into_iter().flatten().collect();
    add("BIOS", some(bios.join(", ")));
    add("microcode", cpu.microcode.clone());
    for disk in disks {
        add(&disk.name, disk.firmware.clone());
    }
    for port in ports {
        add(&port.name, port.firmware.clone());
    }
    all
}

/// A name, unless it is none or stands for none.
fn name_of(text: &str) -> Option<String> {
    let name = text.trim();
    let is_none = NO_NAMES.contains(&name.to_ascii_lowercase().as_str());
    some(name.to_owned()).filter(|_| !is_none)
}

fn some(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}

/// The names in a folder of the kernel, in order.
async fn names(host: &SharedHost, folder: &str) -> Vec<String> {
    let entries = host.list(Path::new(folder)).await.unwrap_or_default();
    let mut names: Vec<String> = entries.into_iter().map(|entry| entry.name).collect();
    names.sort_unstable();
    names
}

/// The PCI device that something belongs to: the last one on the way to it.
async fn pci_address(host: &SharedHost, path: &str) -> Option<String> {
    let way = host.resolve(Path::new(path)).await.ok()?;
    last_pci_address(&way.display().to_string())
}

fn last_pci_address(way: &str) -> Option<String> {
    let is_address = |part: &&str| {
        let bytes = part.as_bytes();
        bytes.len() == 12 && bytes[4] == b':' && bytes[7] == b':' && bytes[10] == b'.'
    };
    way.split('/').rfind(is_address).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use testkit::{FakeHost, Faults};

    /// A host with these files below `/sys` and `/proc`.
    pub(super) async fn host(files: &[(&str, &str)]) -> SharedHost {
        let host: SharedHost = Arc::new(FakeHost::new(Faults::default()));
        for (path, content) in files {
            let path = Path::new(path);
            let mut above: Vec<&Path> = path.ancestors().skip(1).collect();
            above.reverse();
            for folder in above.into_iter().skip(1) {
                host.create_dir(folder, 0o755).await.unwrap();
            }
            let content = format!("{content}\n");
            host.write(path, content.as_bytes(), 0o444).await.unwrap();
        }
        host
    }

    #[tokio::test]
    async fn a_machine_is_called_what_its_firmware_says() {
        let host = host(&[
            ("/sys/class/dmi/id/sys_vendor", "Acme"),
            ("/sys/class/dmi/id/product_name", "Cube 7 "),
            ("/sys/class/dmi/id/product_serial", "To Be Filled By O.E.M."),
            ("/sys/class/dmi/id/board_name", "X1"),
            ("/sys/class/dmi/id/board_serial", "B-77"),
            ("/sys/class/dmi/id/bios_version", "2.14"),
            ("/sys/class/dmi/id/bios_date", "01/31/2026"),
        ])
        .await;
        let found = inventory(&host).await;
        let system = System {
            vendor: Some("Acme".into()),
            model: Some("Cube 7".into()),
            serial: None,
            board: Some("X1".into()),
            board_serial: Some("B-77".into()),
        };
        assert_eq!(found.system, system);
        let bios = Firmware {
            of: "BIOS".into(),
            version: "2.14, 01/31/2026".into(),
        };
        assert_eq!(found.firmware, [bios]);
    }

    #[tokio::test]
    async fn a_machine_that_says_nothing_is_no_failure() {
        let found = inventory(&host(&[]).await).await;
        assert_eq!(found.system, System::default());
        assert!(found.controllers.is_empty() && found.firmware.is_empty());
        assert!(found.memory.is_empty());
    }

    #[test]
    fn the_last_device_on_the_way_has_what_is_behind_it() {
        let way = "/sys/devices/pci0000:00/0000:00:1c.0/0000:02:00.0/nvme/nvme0/nvme0n1";
        assert_eq!(last_pci_address(way).as_deref(), Some("0000:02:00.0"));
        assert_eq!(last_pci_address("/sys/devices/virtual/block/loop0"), None);
    }
}
