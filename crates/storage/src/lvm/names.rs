//! What volumes of LVM are called that are guests'. Pure.

use model::{BlockFormat, VmId};

use super::group::is_lvm_name;
use crate::{ContentType, VolumeName};

/// `vm-100-disk-0`, or as a base `base-100-disk-0`.
pub(crate) fn parse_guest_name(name: &str) -> Option<VolumeName> {
    if !is_lvm_name(name) {
        return None;
    }
    let (kind, rest) = name.split_once('-')?;
    let (owner, what) = rest.split_once('-')?;
    let is_base = match kind {
        "vm" => false,
        "base" => true,
        _ => return None,
    };
    let owner: VmId = owner.parse().ok()?;
    (!what.is_empty()).then(|| VolumeName {
        content: ContentType::Images,
        format: BlockFormat::Raw.as_str().to_owned(),
        image_format: Some(BlockFormat::Raw),
        owner: Some(owner),
        image: name.to_owned(),
        // A clone shares blocks with its base, but does not need it.
        base: None,
        is_base,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_guests() {
        for (name, owner, is_base) in [
            ("vm-100-disk-0", 100, false),
            ("base-100-disk-0", 100, true),
            ("vm-9000-state-before_the_fall", 9000, false),
        ] {
            let said = parse_guest_name(name).unwrap();
            assert_eq!(said.owner.map(VmId::get), Some(owner), "{name}");
            assert_eq!(said.is_base, is_base, "{name}");
        }
        for bad in [
            "root",
            "data",
            "vm-99-disk-0",
            "vm-100-",
            "vm-100",
            "snap_vm-100-disk-0_a",
            "back_vm-100-disk-0",
            "100/vm-100-disk-0",
            "vm-100-disk 0",
            "-vm-100-disk-0",
        ] {
            assert_eq!(parse_guest_name(bad), None, "{bad}");
        }
    }
}
