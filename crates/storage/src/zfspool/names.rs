//! What datasets are called that are guests'. Pure.
//!
//! ```text
//!   vm-100-disk-0                     a guest's disk, a volume (zvol)
//!   base-100-disk-0                   the same as a base, with a snapshot `__base__`
//!   base-100-disk-0/vm-101-disk-0     its linked clone, which is the dataset vm-101-disk-0
//!   subvol-100-disk-0                 a container's files, a file system; as a base basevol-…
//! ```

use model::{BlockFormat, VmId};

use crate::{ContentType, VolumeName};

/// ZFS takes no longer names of datasets and snapshots (zfs(8)).
const LENGTH_MAX: usize = 200;

/// The snapshot of a base that its clones are made of.
pub(super) const BASE_SNAPSHOT: &str = "__base__";

pub(crate) fn parse_name(name: &str) -> Option<VolumeName> {
    match name.split_once('/') {
        None => parse_dataset(name),
        Some((base, dataset)) => {
            let base = parse_dataset(base).filter(|base| base.is_base)?;
            let clone = parse_dataset(dataset).filter(|clone| clone.content == base.content)?;
            Some(VolumeName {
                base: Some(base.image),
                ..clone
            })
        }
    }
}

fn parse_dataset(name: &str) -> Option<VolumeName> {
    let is_good = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    if name.len() > LENGTH_MAX || !name.chars().all(is_good) {
        return None;
    }
    let (kind, rest) = name.split_once('-')?;
    let (owner, what) = rest.split_once('-')?;
    let (is_tree, is_base) = match kind {
        "vm" => (false, false),
        "base" => (false, true),
        "subvol" => (true, false),
        "basevol" => (true, true),
        _ => return None,
    };
    let owner: VmId = owner.parse().ok()?;
    (!what.is_empty()).then(|| VolumeName {
        content: match is_tree {
            true => ContentType::Rootdir,
            false => ContentType::Images,
        },
        format: if is_tree { "subvol" } else { "raw" }.to_owned(),
        image_format: (!is_tree).then_some(BlockFormat::Raw),
        owner: Some(owner),
        image: name.to_owned(),
        base: None,
        is_base,
    })
}

/// Whether a dataset is a disk, and no medium of cloud-init or saved memory.
pub(super) fn is_disk(dataset: &str) -> bool {
    parse_dataset(dataset).is_some_and(|name| {
        let what = name.image.splitn(3, '-').nth(2).unwrap_or_default();
        name.content == ContentType::Rootdir || what.starts_with("disk-")
    })
}

/// Whether people know a snapshot: ours and those of replication have names that no user gives.
pub(super) fn is_shown(snapshot: &str) -> bool {
    !snapshot.starts_with("__")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_guests() {
        for (name, image, base, format) in [
            ("vm-100-disk-0", "vm-100-disk-0", None, "raw"),
            (
                "base-100-disk-0/vm-101-disk-0",
                "vm-101-disk-0",
                Some("base-100-disk-0"),
                "raw",
            ),
            ("subvol-100-disk-1", "subvol-100-disk-1", None, "subvol"),
            (
                "basevol-100-disk-1/subvol-102-disk-0",
                "subvol-102-disk-0",
                Some("basevol-100-disk-1"),
                "subvol",
            ),
        ] {
            let said = parse_name(name).unwrap();
            assert_eq!((said.image.as_str(), said.base.as_deref()), (image, base));
            assert_eq!(said.format, format, "{name}");
        }
        for bad in [
            "tank",
            "vm-100",
            "vm-99-disk-0",
            "vm-100-disk-0@one",
            "vm-100-disk-0/vm-101-disk-0",
            "base-100-disk-0/subvol-101-disk-0",
            "base-100-disk-0/vm-101-disk-0/x",
            "../vm-100-disk-0",
            "vm-100-disk 0",
            "",
        ] {
            assert_eq!(parse_name(bad), None, "{bad}");
        }
    }
}
