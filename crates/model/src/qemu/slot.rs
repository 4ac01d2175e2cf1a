//! Where a drive is attached: `scsi0`, `virtio3`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::schema::Field;

use super::drive_fields;

/// A kind of disk controller, in the order in which drives are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DriveBus {
    Ide,
    Scsi,
    Virtio,
    Sata,
    /// The volume with the UEFI variables; the guest does not see it as a disk.
    Efi,
    /// The volume with the TPM's state; the guest does not see it as a disk.
    Tpm,
}

impl DriveBus {
    pub const ALL: [Self; 6] = [
        Self::Ide,
        Self::Scsi,
        Self::Virtio,
        Self::Sata,
        Self::Efi,
        Self::Tpm,
    ];

    /// Whether the guest sees its drives as disks.
    pub fn is_seen(self) -> bool {
        !matches!(self, Self::Efi | Self::Tpm)
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ide => "ide",
            Self::Scsi => "scsi",
            Self::Virtio => "virtio",
            Self::Sata => "sata",
            Self::Efi => "efidisk",
            Self::Tpm => "tpmstate",
        }
    }

    /// How many drives there may be.
    pub fn count(self) -> u8 {
        match self {
            Self::Ide => 4,
            Self::Scsi => 31,
            Self::Virtio => 16,
            Self::Sata => 6,
            Self::Efi | Self::Tpm => 1,
        }
    }

    /// The keys of a drive on this bus.
    pub fn fields(self) -> &'static [Field] {
        match self {
            Self::Ide => drive_fields::IDE,
            Self::Scsi => drive_fields::SCSI,
            Self::Virtio => drive_fields::VIRTIO,
            Self::Sata => drive_fields::SATA,
            Self::Efi => drive_fields::EFI,
            Self::Tpm => drive_fields::TPM,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a drive (ide0-3, scsi0-30, virtio0-15, sata0-5, efidisk0, tpmstate0)")]
pub struct SlotError(pub String);

/// A drive's slot. Ordered by bus and then by number, so `scsi2` is before `scsi10`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DriveSlot {
    bus: DriveBus,
    index: u8,
}

impl DriveSlot {
    /// The slot of the UEFI variables.
    pub const EFI: Self = Self {
        bus: DriveBus::Efi,
        index: 0,
    };

    /// The slot of the TPM's state.
    pub const TPM: Self = Self {
        bus: DriveBus::Tpm,
        index: 0,
    };

    pub fn new(bus: DriveBus, index: u8) -> Result<Self, SlotError> {
        if index < bus.count() {
            Ok(Self { bus, index })
        } else {
            Err(SlotError(format!("{}{index}", bus.as_str())))
        }
    }

    pub fn bus(self) -> DriveBus {
        self.bus
    }

    pub fn index(self) -> u8 {
        self.index
    }
}

impl FromStr for DriveSlot {
    type Err = SlotError;

    fn from_str(name: &str) -> Result<Self, SlotError> {
        let bad = || SlotError(name.to_owned());
        let at = name.find(|c: char| c.is_ascii_digit()).ok_or_else(bad)?;
        let (bus, index) = name.split_at(at);
        let bus = DriveBus::ALL
            .into_iter()
            .find(|b| b.as_str() == bus)
            .ok_or_else(bad)?;
        let slot = Self::new(bus, index.parse().map_err(|_| bad())?)?;
        // `scsi01` and `scsi1` would be the same drive under two names.
        if slot.to_string() == name {
            Ok(slot)
        } else {
            Err(bad())
        }
    }
}

impl fmt::Display for DriveSlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.bus.as_str(), self.index)
    }
}

impl TryFrom<String> for DriveSlot {
    type Error = SlotError;
    fn try_from(name: String) -> Result<Self, SlotError> {
        name.parse()
    }
}

impl From<DriveSlot> for String {
    fn from(slot: DriveSlot) -> String {
        slot.to_string()
    }
}
