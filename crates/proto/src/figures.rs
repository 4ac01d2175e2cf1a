//! The figures of a guest's record that lists show instead of its configuration.

use std::collections::BTreeMap;

use model::lxc::{MountPoint, MountSlot};
use model::qemu::{Boot, BootDevice, Drive, DriveSlot, parse_memory_mib};
use model::{GuestConfig, GuestKind, GuestRecord};

/// Default memory of a guest, in MiB.
const MEMORY_MIB: u64 = 512;

/// A guest's record in figures. A value that cannot be read counts as 0 here, so that a list still
/// shows a guest with a broken option.
#[derive(Debug, Clone, PartialEq)]
pub struct GuestFigures {
    pub name: String,
    pub tags: Option<String>,
    /// The lock, by its name in Proxmox VE.
    pub lock: Option<String>,
    pub template: bool,
    /// It has a serial console.
    pub serial: bool,
    /// Processors at start; 0: all of its node.
    pub cpus: u32,
    pub memory: u64,
    /// What a container may swap out; 0 of a VM.
    pub swap: u64,
    /// Size of the disk that it boots from, in bytes.
    pub disk: u64,
}

impl GuestFigures {
    pub fn of(guest: &GuestRecord) -> Self {
        let config = &guest.config;
        let count = |option: &str, default: u32| {
            let number = config.integer(option);
            number
                .and_then(|n| u32::try_from(n).ok())
                .unwrap_or(default)
        };
        let all = count("sockets", 1).saturating_mul(count("cores", 1));
        let memory = config
            .text("memory")
            .and_then(|text| parse_memory_mib(&text).ok());
        let shown_as = guest.busy.as_ref().map(|busy| busy.shown_as.clone());
        let vmid = guest.vmid;
        let fallback = match guest.kind {
            GuestKind::Qemu => format!("VM {vmid}"),
            GuestKind::Lxc => format!("CT{vmid}"),
        };
        let name = config.text("name").or_else(|| config.text("hostname"));
        Self {
            name: name.unwrap_or(fallback),
            tags: config.text("tags").filter(|tags| !tags.is_empty()),
            lock: shown_as
                .filter(|lock| !lock.is_empty())
                .or_else(|| config.text("lock")),
            template: config.flag("template") == Some(true),
            serial: (0..4).any(|port| config.0.contains_key(&format!("serial{port}"))),
            cpus: match guest.kind {
                GuestKind::Qemu => count("vcpus", all),
                GuestKind::Lxc => container_cpus(config),
            },
            memory: memory.unwrap_or(MEMORY_MIB) << 20,
            swap: match guest.kind {
                GuestKind::Qemu => 0,
                GuestKind::Lxc => u64::from(count("swap", 0)) << 20,
            },
            disk: match guest.kind {
                GuestKind::Qemu => boot_disk_size(config),
                GuestKind::Lxc => root_size(config),
            },
        }
    }
}

/// A container's processors: its cores, else what its limit comes to; 0 for all of its node.
fn container_cpus(config: &GuestConfig) -> u32 {
    let cores = config.integer("cores").and_then(|n| u32::try_from(n).ok());
    let limit = config
        .text("cpulimit")
        .and_then(|text| text.parse::<f64>().ok());
    let limit = limit.map(|limit| limit.ceil() as u32);
    cores.or(limit).unwrap_or(0)
}

/// The size of a container's root.
fn root_size(config: &GuestConfig) -> u64 {
    let root = config.text("rootfs");
    let root = root.and_then(|text| MountPoint::parse(MountSlot::Root, &text).ok());
    root.and_then(|root| root.size())
        .map_or(0, |size| size.bytes())
}

/// The size of the first disk in the boot order; 0 if there is none.
fn boot_disk_size(config: &GuestConfig) -> u64 {
    let drives = drives(config);
    let boot = config
        .text("boot")
        .and_then(|text| Boot::parse(&text).ok())
        .unwrap_or_default();
    let boot_disk = config.text("bootdisk").and_then(|slot| slot.parse().ok());
    let disks = boot
        .devices(&drives, &[], boot_disk)
        .into_iter()
        .filter_map(|device| match device {
            BootDevice::Drive(slot) => drives.get(&slot).filter(|drive| !drive.is_cdrom()),
            _ => None,
        });
    disks
        .filter_map(Drive::size)
        .map(|size| size.bytes())
        .next()
        .unwrap_or(0)
}

fn drives(config: &GuestConfig) -> BTreeMap<DriveSlot, Drive> {
    let drive = |(option, value): (&String, &serde_json::Value)| {
        let slot: DriveSlot = option.parse().ok()?;
        let drive = Drive::parse(slot.bus(), value.as_str()?).ok()?;
        (slot.bus().is_seen()).then_some((slot, drive))
    };
    config.0.iter().filter_map(drive).collect()
}

#[cfg(test)]
mod tests {
    use model::VmId;

    use super::*;

    fn figures(options: &[(&str, &str)]) -> GuestFigures {
        let mut config = GuestConfig::default();
        for (name, value) in options {
            config.set(*name, *value);
        }
        GuestFigures::of(&GuestRecord {
            config,
            ..GuestRecord::new(
                VmId::new(100).unwrap(),
                GuestKind::Qemu,
                "pve1".parse().unwrap(),
                0,
            )
        })
    }

    #[test]
    fn a_guest_that_says_nothing_has_the_defaults() {
        let figures = figures(&[]);
        assert_eq!((figures.name.as_str(), figures.cpus), ("VM 100", 1));
        assert_eq!((figures.memory, figures.disk), (512 << 20, 0));
    }

    #[test]
    fn the_disk_is_the_one_that_is_booted_from() {
        let figures = figures(&[
            ("ide2", "local:iso/x.iso,media=cdrom,size=1G"),
            ("scsi0", "local:100/vm-100-disk-0.qcow2,size=2G"),
            ("scsi1", "local:100/vm-100-disk-1.qcow2,size=3G"),
            ("boot", "order=ide2;scsi1;scsi0"),
            ("cores", "2"),
            ("sockets", "2"),
            ("memory", "2048"),
            ("scsi2", "broken,,"),
        ]);
        assert_eq!(
            (figures.disk, figures.cpus, figures.memory),
            (3 << 30, 4, 2 << 30)
        );
    }
}
