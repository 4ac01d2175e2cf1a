//! What thin volumes are called. Pure.
//!
//! ```text
//!   vm-100-disk-0                 a guest's disk; vm-100-cloudinit, vm-100-state-… likewise
//!   base-100-disk-0               the same as a base
//!   snap_vm-100-disk-0_before     its snapshot 'before'
//!   back_vm-100-disk-0            what a roll-back is making of it
//! ```

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
