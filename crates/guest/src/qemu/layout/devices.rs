//! Layout 1: the devices of drives and network cards.

use model::qemu::{Chipset, Display, Drive, DriveBus, DriveSlot, Net, NetModel, Vga};

use super::address::{Place, seat};
use crate::qemu::running::{Backend, Device};

/// The kinds of SCSI controllers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ScsiHardware {
    /// One for all disks, with QEMU's name.
    Shared(&'static str),
    /// One for every seven disks.
    Lsi(&'static str),
    /// A virtio controller for each disk.
    Single,
}

impl ScsiHardware {
    pub(super) fn from_name(name: &str) -> Self {
        match name {
            "virtio-scsi-pci" => Self::Shared("virtio-scsi-pci"),
            "virtio-scsi-single" => Self::Single,
            "megasas" => Self::Shared("megasas"),
            "pvscsi" => Self::Shared("pvscsi"),
            "lsi53c810" => Self::Lsi("lsi53c810"),
            _ => Self::Lsi("lsi53c895a"),
        }
    }
}

pub(super) fn iothread(slot: DriveSlot) -> String {
    format!("iothread-{slot}")
}

/// The controller of a SCSI disk.
pub(super) fn scsi_controller(
    hardware: ScsiHardware,
    slot: DriveSlot,
    drive: &Drive,
) -> (Place, Device) {
    let index = slot.index();
    match hardware {
        ScsiHardware::Shared(driver) => (Place::Scsi(0), Device::new(driver, "scsihw0")),
        ScsiHardware::Lsi(driver) => {
            let number = index / 7;
            (
                Place::Scsi(number),
                Device::new(driver, format!("scsihw{number}")),
            )
        }
        ScsiHardware::Single => {
            let mut device = Device::new("virtio-scsi-pci", format!("virtioscsi{index}"))
                .with_some("num_queues", drive.queues());
            device.iothread = drive.has_iothread().then(|| iothread(slot));
            (Place::SingleScsi(index), device)
        }
    }
}

/// The drive's own device. Its controller is created before it.
pub(super) fn drive_device(
    chipset: Chipset,
    hardware: ScsiHardware,
    slot: DriveSlot,
    drive: &Drive,
    boot_index: Option<usize>,
) -> Device {
    let id = slot.to_string();
    let index = slot.index();
    let cdrom = drive.is_cdrom();
    let device = match slot.bus() {
        DriveBus::Virtio => {
            let place = seat(chipset, Place::Virtio(index)).bus_and_addr(chipset);
            let mut device = Device::new("virtio-blk-pci", id).at(place);
            device.iothread = drive.has_iothread().then(|| iothread(slot));
            device
        }
        DriveBus::Scsi => scsi_disk(
            hardware,
            index,
            if cdrom { "scsi-cd" } else { "scsi-hd" },
            id,
        ),
        DriveBus::Sata => ide_disk(format!("ahci0.{index}"), 0, cdrom, id),
        // The q35 has SATA ports, one drive each, in place of the two IDE channels of the i440fx.
        _ if chipset == Chipset::Q35 => ide_disk(format!("ide.{index}"), 0, cdrom, id),
        _ => ide_disk(format!("ide.{}", index / 2), index % 2, cdrom, id),
    };
    let device = device
        .backed_by(Backend::Drive(slot))
        .with_some("bootindex", boot_index)
        .with_some("serial", drive.serial())
        .with_some("rerror", drive.read_error().map(|action| action.as_str()))
        .with_some("werror", drive.write_error().map(|action| action.as_str()));
    if cdrom {
        device
    } else {
        disk_properties(slot, drive, device)
    }
}

fn scsi_disk(hardware: ScsiHardware, index: u8, driver: &str, id: String) -> Device {
    let (controller, target) = match hardware {
        ScsiHardware::Shared(_) => ("scsihw0".to_owned(), index),
        ScsiHardware::Lsi(_) => (format!("scsihw{}", index / 7), index % 7),
        ScsiHardware::Single => (format!("virtioscsi{index}"), index),
    };
    Device::new(driver, id)
        .on(format!("{controller}.0"))
        .with("channel", 0)
        .with("scsi-id", target)
        .with("lun", 0)
}

fn ide_disk(bus: String, unit: u8, cdrom: bool, id: String) -> Device {
    Device::new(if cdrom { "ide-cd" } else { "ide-hd" }, id)
        .on(bus)
        .with("unit", unit)
}

fn disk_properties(slot: DriveSlot, drive: &Drive, device: Device) -> Device {
    let is_scsi = slot.bus() == DriveBus::Scsi;
    // Guests name a SCSI disk without a serial number by this, in /dev/disk/by-id for example.
    let by_id = (is_scsi && drive.serial().is_none()).then(|| format!("drive-{slot}"));
    let no_cache = (!drive.cache().has_write_cache()).then_some("off");
    device
        .with_some("device_id", by_id)
        .with_some("write-cache", no_cache)
        .with_some("rotation_rate", drive.is_ssd().then_some(1))
        .with_some("wwn", drive.wwn())
        .with_some("vendor", drive.vendor())
        .with_some("product", drive.product())
        .with_some("model", drive.model())
}

pub(super) fn net_device(chipset: Chipset, index: u8, net: &Net, boot: Option<usize>) -> Device {
    let place = seat(chipset, Place::Net(index)).bus_and_addr(chipset);
    let mut device = Device::new(net.model.driver(), format!("net{index}"))
        .at(place)
        .backed_by(Backend::Net(index))
        .with_some("mac", net.mac.as_deref())
        .with_some("bootindex", boot);
    if boot.is_none() {
        // A card that is not a boot device needs no boot ROM, and the firmware starts faster
        // without one. Without a BAR, QEMU would pass the ROM by its file name, which two cards
        // cannot share.
        device = device.with("romfile", "");
    }
    if net.model == NetModel::VIRTIO {
        if let Some(queues) = net.queues.filter(|queues| *queues > 1) {
            // An interrupt vector for each direction of each queue, one for changes, one for
            // control.
            device = device
                .with("mq", true)
                .with("vectors", u32::from(queues) * 2 + 2);
        }
        device = device.with_some("host_mtu", net.mtu.filter(|mtu| *mtu > 1));
    }
    device
}

/// The display, if any.
pub(super) fn display_device(chipset: Chipset, display: Display, vga: &Vga) -> Option<Device> {
    let memory = vga.memory_mib;
    let mebibyte: u64 = 1 << 20;
    let device = match display {
        Display::Std => Device::new("VGA", "vga").with_some("vgamem_mb", power_of_two(memory)),
        // The real card has 4 MiB; QEMU's may have 16 at most.
        Display::Cirrus => {
            let memory = power_of_two(memory).map(|memory| memory.min(16));
            Device::new("cirrus-vga", "vga").with_some("vgamem_mb", memory)
        }
        Display::Vmware => {
            Device::new("vmware-svga", "vga").with_some("vgamem_mb", power_of_two(memory))
        }
        Display::Virtio | Display::VirtioGl => Device::new("virtio-vga", "vga").with_some(
            "max_hostmem",
            memory.map(|memory| u64::from(memory) * mebibyte),
        ),
        Display::Qxl => {
            let memory = power_of_two(memory);
            Device::new("qxl-vga", "vga")
                .with_some("vgamem_mb", memory)
                .with_some("ram_size_mb", memory.map(|memory| memory * 4))
                .with_some("vram_size_mb", memory.map(|memory| memory * 2))
        }
        Display::Serial(_) | Display::None => return None,
    };
    Some(device.at(seat(chipset, Place::Display).bus_and_addr(chipset)))
}

/// Video memory is mapped whole, so its size is a power of two.
fn power_of_two(mebibytes: Option<u16>) -> Option<u32> {
    mebibytes.map(|number| u32::from(number).next_power_of_two())
}
