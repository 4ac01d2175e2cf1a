//! Layout 1: the table of PCI addresses.
//!
//! ```text
//! i440fx: everything on pci.0, what does not fit behind three bridges
//!   01    the board: .0 ISA, .1 IDE, .2 USB (UHCI), .3 power management
//!   02    display                     0d..0f  virtio3..5
//!   03    balloon                     10 11   passed-through devices 0 and 1
//!   04    watchdog                     12..17  net0..5
//!   05    SCSI controller 0           18      sound, 19 USB 3 (xHCI)
//!   06    SCSI controller 1           1a..1c  SCSI controllers 2..4 (LSI takes 7 disks each)
//!   07    SATA                        1d      bridge pci.3: single SCSI n at n+1
//!   08    agent                       1e      bridge pci.1: net6..31 at 01..1a, folders 0..4 at
//!   09    random numbers                      1b..1f
//!   0a..0c  virtio0..2                1f      bridge pci.2: virtio6..15 at 01..0a, passed-through
//!                                             devices 2..15 at 0b..18, folders 5..9 at 19..1d
//!
//! q35: one root port for each device that is not part of the board, 8 ports to a slot of pcie.0
//!   01    display (on the root bus)   09      SATA (on the root bus)
//!   02..05  ports of net0..31         0a 0b   watchdog, USB 3 (xHCI; on the root bus)
//!   06 07   ports of virtio0..15      0c..0f  ports of single SCSI 0..30
//!   08    ports: .0-.4 SCSI controllers 0..4, .5 balloon, .6 agent, .7 random numbers
//!   10 11   ports of passed-through devices; 12 bridge pci.4: those that are not PCI Express, n at n+1
//!   13 14   ports of folders          15      virtio IOMMU (on the root bus)
//!   1b    sound (on the root bus)
//!   1d    USB (UHCI, on the root bus)
//!   1f    the board: .0 ISA, .2 SATA that the drives ide0..3 hang on, .3 SMBus
//! ```
//!
//! The ports of net0..7 and virtio0..7 are always there, and where each SCSI disk has a controller
//! of its own also the ports of the first eight, or the bridge of all of them, so that these can be
//! plugged into a running guest. The others come with their device; so does a bridge of the i440fx
//! with its first one.

use model::qemu::Chipset;

/// A PCI device by its purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Display,
    Balloon,
    Scsi(u8),
    /// A controller for one disk (`virtio-scsi-single`).
    SingleScsi(u8),
    Sata,
    Agent,
    Random,
    Virtio(u8),
    Net(u8),
    Usb,
    /// The controller of USB devices of the host.
    Xhci,
    Watchdog,
    /// A device of the host, and whether it is at a port of PCI Express where there are such.
    HostPci(u8, bool),
    /// A folder of the host.
    Share(u8),
    Sound,
    /// Of machines with PCI Express.
    Iommu,
}

/// A bridge or port that a device needs: its own id and address.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Upstream {
    /// A conventional bridge on the root bus, by number and slot.
    Bridge { number: u8, slot: u8 },
    /// A root port on pcie.0.
    Port { slot: u8, function: u8 },
}

impl Upstream {
    pub(super) fn id(&self) -> String {
        match self {
            Self::Bridge { number, .. } => format!("pci.{number}"),
            Self::Port { slot, function } => format!("port.{slot:x}.{function}"),
        }
    }
}

/// The place of a device: its parent if not the root bus, and its slot there.
pub(super) struct Seat {
    pub(super) upstream: Option<Upstream>,
    slot: u8,
    function: u8,
}

impl Seat {
    /// The device's bus and address as QEMU takes them.
    pub(super) fn bus_and_addr(&self, chipset: Chipset) -> (String, String) {
        let root = if chipset == Chipset::Q35 {
            "pcie.0"
        } else {
            "pci.0"
        };
        let bus = self
            .upstream
            .as_ref()
            .map_or_else(|| root.to_owned(), Upstream::id);
        let addr = match self.function {
            0 => format!("0x{:x}", self.slot),
            function => format!("0x{:x}.{function}", self.slot),
        };
        (bus, addr)
    }
}

pub(super) fn seat(chipset: Chipset, place: Place) -> Seat {
    if chipset == Chipset::Q35 {
        q35(place)
    } else {
        i440fx(place)
    }
}

fn i440fx(place: Place) -> Seat {
    let root = |slot| Seat {
        upstream: None,
        slot,
        function: 0,
    };
    let behind = |number, at, slot| {
        let upstream = Some(Upstream::Bridge { number, slot: at });
        Seat {
            upstream,
            slot,
            function: 0,
        }
    };
    match place {
        Place::Display => root(0x02),
        Place::Balloon => root(0x03),
        Place::Scsi(n @ 0..=1) => root(0x05 + n),
        Place::Scsi(n) => root(0x18 + n),
        Place::SingleScsi(n) => behind(3, 0x1d, n + 1),
        Place::Sata => root(0x07),
        Place::Agent => root(0x08),
        Place::Random => root(0x09),
        Place::Virtio(n @ 0..=5) => root(0x0a + n),
        Place::Virtio(n) => behind(2, 0x1f, n - 5),
        Place::Net(n @ 0..=5) => root(0x12 + n),
        Place::Net(n) => behind(1, 0x1e, n - 5),
        Place::Watchdog => root(0x04),
        Place::Xhci => root(0x19),
        Place::HostPci(n @ 0..=1, _) => root(0x10 + n),
        Place::HostPci(n, _) => behind(2, 0x1f, n + 9),
        Place::Share(n @ 0..=4) => behind(1, 0x1e, 0x1b + n),
        Place::Share(n) => behind(2, 0x1f, n + 0x14),
        Place::Sound | Place::Iommu => root(0x18),
        Place::Usb => Seat {
            upstream: None,
            slot: 0x01,
            function: 2,
        },
    }
}

fn q35(place: Place) -> Seat {
    let root = |slot| Seat {
        upstream: None,
        slot,
        function: 0,
    };
    let port = |first: u8, n: u8| {
        let upstream = Some(Upstream::Port {
            slot: first + n / 8,
            function: n % 8,
        });
        Seat {
            upstream,
            slot: 0,
            function: 0,
        }
    };
    match place {
        Place::Display => root(0x01),
        Place::Net(n) => port(0x02, n),
        Place::Virtio(n) => port(0x06, n),
        Place::Scsi(n) => port(0x08, n),
        Place::Balloon => port(0x08, 5),
        Place::Agent => port(0x08, 6),
        Place::Random => port(0x08, 7),
        Place::SingleScsi(n) => port(0x0c, n),
        Place::Sata => root(0x09),
        Place::Usb => root(0x1d),
        Place::Xhci => root(0x0b),
        Place::HostPci(n, true) => port(0x10, n),
        Place::HostPci(n, false) => Seat {
            upstream: Some(Upstream::Bridge {
                number: 4,
                slot: 0x12,
            }),
            slot: n + 1,
            function: 0,
        },
        Place::Share(n) => port(0x13, n),
        Place::Iommu => root(0x15),
        Place::Sound => root(0x1b),
        Place::Watchdog => root(0x0a),
    }
}

/// The bridges and ports that are always present, so that devices can be plugged in later.
pub(super) fn always(chipset: Chipset, has_single_scsi: bool) -> Vec<Upstream> {
    let single = seat(chipset, Place::SingleScsi(0)).upstream;
    let single = single.filter(|_| has_single_scsi);
    if chipset != Chipset::Q35 {
        return single.into_iter().collect();
    }
    let ports = |slot| (0..8).map(move |function| Upstream::Port { slot, function });
    let slots = [0x02, 0x06].into_iter();
    let slots = slots.chain(single.map(|_| 0x0c));
    slots.flat_map(ports).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_devices_share_an_address() {
        let many = |count: u8, place: fn(u8) -> Place| (0..count).map(place);
        let single = [
            Place::Display,
            Place::Balloon,
            Place::Sata,
            Place::Agent,
            Place::Random,
        ];
        let places: Vec<Place> = single
            .into_iter()
            .chain([Place::Usb, Place::Xhci, Place::Watchdog, Place::Sound])
            .chain(many(16, |n| Place::HostPci(n, true)))
            .chain(many(10, Place::Share))
            .chain(many(5, Place::Scsi))
            .chain(many(31, Place::SingleScsi))
            .chain(many(16, Place::Virtio))
            .chain(many(32, Place::Net))
            .collect();
        for chipset in [Chipset::I440fx, Chipset::Q35] {
            let seats = places
                .iter()
                .map(|place| seat(chipset, *place).bus_and_addr(chipset));
            let addresses: BTreeSet<(String, String)> = seats.collect();
            assert_eq!(addresses.len(), places.len(), "{chipset:?}");
        }
    }
}
