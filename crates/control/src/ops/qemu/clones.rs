//! Code that clone, feature and template share.

use model::GuestConfig;
use model::qemu::{Drive, DriveSlot};

/// Unused volumes and shared media are not copied.
pub(super) fn is_copied(option: &str, config: &GuestConfig) -> bool {
    let Ok(slot) = option.parse::<DriveSlot>() else {
        return false;
    };
    let text = config.text(option).unwrap_or_default();
    let drive = Drive::parse(slot.bus(), &text);
    drive.is_ok_and(|drive| !drive.is_cdrom() || drive.is_cloud_init())
}
