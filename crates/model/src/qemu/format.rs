//! Formats that only the options of a virtual machine have.

use crate::schema::Format;
use crate::schema::format::split_list;
use crate::{StorageId, VolumeId};

const fn named(name: &'static str, check: fn(&str) -> Result<(), String>) -> Format {
    Format::named(name, check)
}

/// A volume, a path, or one of the special values `none` and `cdrom`.
pub(super) const VOLUME_OR_PATH: Format = named("pve-volume-id-or-qm-path", |value| {
    if matches!(value, "none" | "cdrom") {
        return Ok(());
    }
    volume_or_absolute_path(value)
});

pub(super) const VOLUME_OR_ABSOLUTE_PATH: Format =
    named("pve-volume-id-or-absolute-path", volume_or_absolute_path);

fn volume_or_absolute_path(value: &str) -> Result<(), String> {
    // A comma would end the path early in a property string; `..` would leave the folder that it
    // names.
    let is_path = value.starts_with('/')
        && !value.contains(|c: char| c == ',' || c.is_control())
        && value.split('/').all(|part| part != "..");
    if is_path || value.parse::<VolumeId>().is_ok() {
        Ok(())
    } else {
        Err(format!("unable to parse volume ID '{value}'"))
    }
}

/// Processors as the kernel lists them: `0,5,8-11`.
pub(super) const CPUSET: Format = named("pve-cpuset", |value| {
    let number = |text: &str| text.parse::<u32>().ok().filter(|_| !text.starts_with('+'));
    let valid = value.split(',').all(|part| match part.split_once('-') {
        Some((first, last)) => match (number(first), number(last)) {
            (Some(first), Some(last)) => first <= last,
            _ => false,
        },
        None => number(part).is_some(),
    });
    if valid {
        Ok(())
    } else {
        Err("unable to parse cpuset option".to_owned())
    }
});

/// `0`, `1`, or a list (possibly empty) of the kinds of devices that may be hot-plugged.
pub(super) const HOTPLUG: Format = named("pve-hotplug-features", |value| {
    let known = ["network", "disk", "cpu", "memory", "usb", "cloudinit"];
    let mut items = split_list(value);
    match items.find(|item| !known.contains(item)) {
        Some(unknown) if !matches!(value, "0" | "1") => {
            Err(format!("invalid hotplug feature '{unknown}'"))
        }
        _ => Ok(()),
    }
});

/// A drive that `bootdisk` may name; the field's pattern checks the rest.
pub(super) const BOOT_DISK: Format = named("pve-qm-bootdisk", |value| {
    let slot = value.parse::<super::DriveSlot>();
    slot.map(|_| ())
        .map_err(|_| format!("invalid boot disk '{value}'"))
});

/// The size if a volume's name requests a new volume: `local:32` requests 32 GiB.
pub(crate) fn requested_size(volume: &VolumeId) -> Option<(StorageId, f64)> {
    let digits = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_digit());
    let name = volume.name();
    let (whole, fraction) = name.split_once('.').unwrap_or((name, "0"));
    let size = if digits(whole) && digits(fraction) {
        name.parse().ok()
    } else {
        None
    };
    size.map(|size: f64| (volume.storage().clone(), size))
}
