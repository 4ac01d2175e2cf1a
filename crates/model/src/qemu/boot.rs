//! What a guest boots from: `order=scsi0;ide2;net0`, or the older letters `cdn`.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use crate::schema::{Field, Format, Properties, PropertyError, parse_properties, print_properties};

use super::{Drive, DriveSlot};

const DEVICES: Format = Format::List {
    name: "pve-qm-bootdev-list",
    check: |value| match value.parse::<BootDevice>() {
        Ok(_) => Ok(()),
        Err(_) => Err(format!("invalid boot device '{value}'")),
    },
};

pub(super) const BOOT: &[Field] = &[
    Field::string("legacy")
        .optional()
        .pattern("[acdn]{1,4}")
        .default("cdn")
        .default_key(),
    Field::string("order").optional().format(DEVICES),
];

/// A device that a guest may boot from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BootDevice {
    Drive(DriveSlot),
    Net(u8),
    /// In orders imported from elsewhere; this version attaches no USB devices.
    Usb(u8),
    HostPci(u8),
}

impl FromStr for BootDevice {
    type Err = PropertyError;

    fn from_str(name: &str) -> Result<Self, PropertyError> {
        let index = |stem: &str, count: u8| {
            let digits = name.strip_prefix(stem)?;
            let index: u8 = digits.parse().ok()?;
            (index < count && index.to_string() == digits).then_some(index)
        };
        let other = || {
            index("net", 32)
                .map(Self::Net)
                .or_else(|| index("usb", 14).map(Self::Usb))
                .or_else(|| index("hostpci", 16).map(Self::HostPci))
        };
        match name.parse::<DriveSlot>() {
            Ok(slot) if slot.bus().is_seen() => Ok(Self::Drive(slot)),
            _ => other()
                .ok_or_else(|| PropertyError::Syntax(format!("invalid boot device '{name}'"))),
        }
    }
}

impl fmt::Display for BootDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Drive(slot) => slot.fmt(f),
            Self::Net(index) => write!(f, "net{index}"),
            Self::Usb(index) => write!(f, "usb{index}"),
            Self::HostPci(index) => write!(f, "hostpci{index}"),
        }
    }
}

/// The option `boot`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Boot {
    /// Exactly these, in this order.
    Order(Vec<BootDevice>),
    /// Kinds of devices: `c` the boot disk, `d` CD-ROMs, `n` network cards.
    Legacy(String),
}

impl Default for Boot {
    /// The default when the option is left out.
    fn default() -> Self {
        Self::Legacy("cdn".to_owned())
    }
}

impl Boot {
    pub fn parse(text: &str) -> Result<Self, PropertyError> {
        let keys = parse_properties(BOOT, text)?;
        match (keys.text("order"), keys.text("legacy")) {
            (Some(order), _) => {
                let devices = crate::schema::format::split_list(order).map(str::parse);
                devices.collect::<Result<_, _>>().map(Self::Order)
            }
            (None, Some(letters)) => Ok(Self::Legacy(letters.to_owned())),
            (None, None) => Ok(Self::default()),
        }
    }

    pub fn print(&self) -> String {
        let mut keys = Properties::default();
        match self {
            Self::Order(devices) => {
                let names: Vec<String> = devices.iter().map(BootDevice::to_string).collect();
                keys.set(BOOT, "order", names.join(";"));
            }
            Self::Legacy(letters) => keys.set(BOOT, "legacy", letters.as_str()),
        }
        print_properties(BOOT, &keys)
    }

    /// The order of a new guest that was created without one: the first disk, the first CD-ROM, the
    /// first network card. A cloud-init medium is not bootable.
    pub fn for_new_guest(drives: &BTreeMap<DriveSlot, Drive>, nets: &[u8]) -> Self {
        let first = |cdrom: bool| {
            let found = drives
                .iter()
                .filter(|(slot, drive)| slot.bus().is_seen() && !drive.is_cloud_init())
                .find(|(_, drive)| drive.is_cdrom() == cdrom);
            found.map(|(slot, _)| BootDevice::Drive(*slot))
        };
        let net = nets.iter().min().map(|index| BootDevice::Net(*index));
        Self::Order(
            [first(false), first(true), net]
                .into_iter()
                .flatten()
                .collect(),
        )
    }

    /// The devices to try, first to last.
    pub fn devices(
        &self,
        drives: &BTreeMap<DriveSlot, Drive>,
        nets: &[u8],
        boot_disk: Option<DriveSlot>,
    ) -> Vec<BootDevice> {
        let letters = match self {
            Self::Order(devices) => return devices.clone(),
            Self::Legacy(letters) => letters,
        };
        let bootable = || drives.iter().filter(|(slot, _)| slot.bus().is_seen());
        let mut devices = Vec::new();
        for letter in letters.chars() {
            match letter {
                'c' => {
                    let first = bootable().find(|(_, drive)| !drive.is_cdrom());
                    let disk = boot_disk.or(first.map(|(slot, _)| *slot));
                    devices.extend(disk.map(BootDevice::Drive));
                }
                'd' => {
                    let cdroms = bootable().filter(|(_, drive)| drive.is_cdrom());
                    devices.extend(cdroms.map(|(slot, _)| BootDevice::Drive(*slot)));
                }
                'n' => devices.extend(nets.iter().map(|index| BootDevice::Net(*index))),
                _ => {}
            }
        }
        devices
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drives(given: &[(&str, &str)]) -> BTreeMap<DriveSlot, Drive> {
        let drive = |(slot, text): &(&str, &str)| {
            let slot: DriveSlot = slot.parse().unwrap();
            (slot, Drive::parse(slot.bus(), text).unwrap())
        };
        given.iter().map(drive).collect()
    }

    #[test]
    fn a_new_guest_boots_as_the_recording_shows() {
        let disk = drives(&[("scsi0", "local:100/vm-100-disk-0.raw,size=1G")]);
        assert_eq!(Boot::for_new_guest(&disk, &[0]).print(), "order=scsi0;net0");
        assert_eq!(Boot::for_new_guest(&disk, &[]).print(), "order=scsi0");
        let more = drives(&[
            ("ide2", "none,media=cdrom"),
            ("scsi10", "local:1/b"),
            ("scsi2", "local:1/a"),
            ("virtio0", "local:1/c"),
        ]);
        assert_eq!(
            Boot::for_new_guest(&more, &[3, 1]).print(),
            "order=scsi2;ide2;net1"
        );
    }

    #[test]
    fn the_older_letters_name_kinds() {
        let drives = drives(&[("ide2", "none,media=cdrom"), ("sata1", "local:1/a")]);
        let names = |boot: Boot, disk: Option<&str>| {
            let disk = disk.map(|slot| slot.parse().unwrap());
            let devices = boot.devices(&drives, &[0, 4], disk);
            devices
                .iter()
                .map(BootDevice::to_string)
                .collect::<Vec<_>>()
                .join(" ")
        };
        assert_eq!(names(Boot::default(), None), "sata1 ide2 net0 net4");
        assert_eq!(
            names(Boot::parse("dc").unwrap(), Some("sata3")),
            "ide2 sata3"
        );
    }

    #[test]
    fn an_order_names_devices_that_there_may_be() {
        for bad in [
            "order=efidisk0",
            "order=scsi31",
            "order=net01",
            "order=x",
            "xyz",
            "order",
        ] {
            assert!(Boot::parse(bad).is_err(), "{bad}");
        }
    }
}
