//! The volume with a guest's UEFI variables.

use crate::VolumeId;
use crate::schema::{Properties, PropertyError, parse_properties, print_properties};

use super::drive_fields::EFI;

/// The size of the flash that the firmware and its variables are made for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum EfiType {
    /// 2 MiB, without secure boot.
    #[default]
    TwoMiB,
    /// 4 MiB.
    FourMiB,
}

/// `local:100/vm-100-disk-1.qcow2,efitype=4m,size=528K`.
#[derive(Debug, Clone, PartialEq)]
pub struct EfiDisk(Properties);

impl EfiDisk {
    pub fn parse(text: &str) -> Result<Self, PropertyError> {
        Ok(Self(parse_properties(EFI, text)?))
    }

    pub fn print(&self) -> String {
        print_properties(EFI, &self.0)
    }

    pub fn efi_type(&self) -> EfiType {
        match self.0.text("efitype") {
            Some("4m") => EfiType::FourMiB,
            _ => EfiType::TwoMiB,
        }
    }

    /// Whether the variables start with the keys of the distributions and of Microsoft enrolled,
    /// which turns secure boot on.
    pub fn has_enrolled_keys(&self) -> bool {
        self.0.flag("pre-enrolled-keys").unwrap_or(false)
    }

    pub fn volume(&self) -> Option<VolumeId> {
        self.0.text("file").and_then(|text| text.parse().ok())
    }
}
