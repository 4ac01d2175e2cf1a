//! What thin volumes are called. Pure.
//!
//! ```text
//!   vm-100-disk-0                 a guest's disk; vm-100-cloudinit, vm-100-state-… likewise
//!   base-100-disk-0               the same as a base
//!   snap_vm-100-disk-0_before     its snapshot 'before'
//!   back_vm-100-disk-0            what a roll-back is making of it
//! ```

use model::{BlockFormat, VmId};

use crate::{ContentType, VolumeName};

/// LVM takes no longer names (lvm(8)).
const LENGTH_MAX: usize = 127;

pub(crate) fn parse_name(name: &str) -> Option<VolumeName> {
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

/// What LVM takes as a name of a volume or a group.
fn is_lvm_name(name: &str) -> bool {
    let is_good = |c: char| c.is_ascii_alphanumeric() || "+_.-".contains(c);
    name.len() <= LENGTH_MAX && !name.starts_with('-') && name.chars().all(is_good)
}

pub(super) fn snapshot(volume: &str, snapshot: &str) -> String {
    format!("snap_{volume}_{snapshot}")
}

pub(super) fn roll_back(volume: &str) -> String {
    format!("back_{volume}")
}

/// The snapshots among these names that are of a volume: their own names. `vm-100-a_b` may be a
/// volume too, whose snapshots are not those of `vm-100-a`.
pub(super) fn snapshots_of<'a>(
    volume: &str,
    names: impl Iterator<Item = &'a str> + Clone,
) -> Vec<&'a str> {
    let below = format!("{volume}_");
    let longer: Vec<String> = names
        .clone()
        .filter(|name| name.starts_with(&below))
        .map(|name| snapshot(name, ""))
        .collect();
    let prefix = snapshot(volume, "");
    names
        .filter(|name| !longer.iter().any(|longer| name.starts_with(longer)))
        .filter_map(|name| name.strip_prefix(&prefix))
        .filter(|name| !name.is_empty())
        .collect()
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
            let said = parse_name(name).unwrap();
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
            assert_eq!(parse_name(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_snapshot_is_of_the_volume_with_the_longest_name() {
        let names = [
            "vm-100-a",
            "vm-100-a_b",
            "snap_vm-100-a_one",
            "snap_vm-100-a_b_two",
            "snap_vm-100-ab_three",
        ];
        let of = |volume: &str| snapshots_of(volume, names.into_iter());
        assert_eq!(of("vm-100-a"), ["one"]);
        assert_eq!(of("vm-100-a_b"), ["two"]);
        assert_eq!(of("vm-100-disk-1"), [""; 0]);
    }
}
