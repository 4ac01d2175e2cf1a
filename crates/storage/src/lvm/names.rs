//! What volumes of LVM are called that are guests'. Pure.

use model::{BlockFormat, VmId};

use super::group::{Volume, is_lvm_name};
use crate::chain::Layer;
use crate::{ContentType, VolumeName};

const QCOW2: &str = ".qcow2";

/// Beginnings of the names of volumes that are none of a guest's by themselves.
const SNAPSHOT: &str = "snap_";
const NEW: &str = "new_";
const TAKING: &str = "put_";
const FREED: &str = "del-";

/// The name of an image with blocks of its own; `.qcow2` says that it is one of qcow2.
pub(crate) fn parse_name(name: &str) -> Option<VolumeName> {
    let said = parse_guest_name(name).filter(|said| !said.is_base)?;
    let format = format_of(name);
    Some(VolumeName {
        format: format.as_str().to_owned(),
        image_format: Some(format),
        ..said
    })
}

pub(super) fn format_of(name: &str) -> BlockFormat {
    match name.ends_with(QCOW2) {
        true => BlockFormat::Qcow2,
        false => BlockFormat::Raw,
    }
}

/// The name of an image of this format.
pub(super) fn with_format(name: String, format: BlockFormat) -> String {
    match format {
        BlockFormat::Qcow2 => name + QCOW2,
        _ => name,
    }
}

/// What a volume is called from the moment it is freed until its blocks are zeroed.
pub(super) fn freed(name: &str) -> String {
    format!("{FREED}{name}")
}

/// The same for the n-th one that had this name.
pub(super) fn nth_freed(name: &str, number: usize) -> String {
    match number {
        0 => freed(name),
        number => format!("{FREED}{number}-{name}"),
    }
}

/// The volumes of a qcow2 image and its snapshots.
///
/// ```text
///   vm-100-disk-0.qcow2              the image
///   snap_vm-100-disk-0_one.qcow2     the layer of a snapshot
///   new_vm-100-disk-0.qcow2          a layer that has no name in the chain yet
///   put_<name>                       what is about to take this name
///   del-<name>, del-1-<name>         freed, and not zeroed yet
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Family(String);

impl Family {
    /// None of a raw image.
    pub(super) fn of(image: &str) -> Option<Self> {
        (format_of(image) == BlockFormat::Qcow2).then(|| Self(image.to_owned()))
    }

    pub(super) fn image(&self) -> &str {
        &self.0
    }

    fn stem(&self) -> &str {
        self.0.strip_suffix(QCOW2).unwrap_or(&self.0)
    }

    /// Which of two images a snapshot is of, its name alone does not always say. Source: Proxmox VE's tags.
    pub(super) fn tag(&self) -> String {
        format!("pve-{}", self.0)
    }

    pub(super) fn name(&self, layer: &Layer) -> String {
        match layer {
            Layer::Image => self.0.clone(),
            Layer::Snapshot(snapshot) => format!("{SNAPSHOT}{}_{snapshot}{QCOW2}", self.stem()),
        }
    }

    pub(super) fn layer(&self, name: &str) -> Option<Layer> {
        if name == self.0 {
            return Some(Layer::Image);
        }
        let rest = name.strip_prefix(SNAPSHOT)?.strip_prefix(self.stem())?;
        let snapshot = rest.strip_prefix('_')?.strip_suffix(QCOW2)?;
        (!snapshot.is_empty()).then(|| Layer::Snapshot(snapshot.to_owned()))
    }

    /// The layer whose place a volume has, or is about to take.
    pub(super) fn place_of(&self, name: &str) -> Option<Layer> {
        self.layer(name).or_else(|| self.takes(name))
    }

    pub(super) fn new_layer(&self) -> String {
        format!("{NEW}{}", self.0)
    }

    /// The layer whose name a volume is about to take.
    pub(super) fn takes(&self, name: &str) -> Option<Layer> {
        self.layer(name.strip_prefix(TAKING)?)
    }

    /// The layer that a volume was until it was freed.
    pub(super) fn was(&self, name: &str) -> Option<Layer> {
        let rest = name.strip_prefix(FREED)?;
        let name = match rest.split_once('-') {
            Some((number, name)) if number.bytes().all(|digit| digit.is_ascii_digit()) => name,
            _ => rest,
        };
        self.layer(name)
    }

    /// Whether a volume is a part of the image, by its name and its tag: the names of the snapshots of
    /// two images can be the same.
    pub(super) fn owns(&self, volume: &Volume) -> bool {
        let is_tagged = volume.is_tagged(&self.tag());
        let is_own = volume.name == self.0 || (is_tagged && self.has(&volume.name));
        is_own && volume.is_thick()
    }

    /// Whether it is a part of the image, now or soon.
    fn has(&self, name: &str) -> bool {
        self.layer(name).is_some() || self.takes(name).is_some() || name == self.new_layer()
    }
}

/// What a volume is called while the one goes whose name it takes.
pub(super) fn taking(name: &str) -> String {
    format!("{TAKING}{name}")
}

/// What LVM reserves for parts of volumes. Source: lvm(8), and later versions.
const RESERVED: [&str; 18] = [
    "_cdata", "_cmeta", "_corig", "_cpool", "_cvol", "_imeta", "_iorig", "_mimage", "_mlog",
    "_pmspare", "_rimage", "_rmeta", "_tdata", "_tmeta", "_vdata", "_vorigin", "_vpool", "_wcorig",
];

/// A name without what says that it is about to be an image's.
pub(super) fn image_part(name: &str) -> &str {
    let rest = name.strip_prefix(TAKING).or_else(|| name.strip_prefix(NEW));
    rest.unwrap_or(name)
}

/// How long a name in a group may be, with the group's and a few characters.
const PATH_MAX: usize = 128 - 8;

/// Whether LVM takes all names that an image or a layer will have in a group, until it is gone.
pub(super) fn fits(group: &str, name: &str) -> bool {
    let longest = nth_freed(name, 99);
    let is_short = longest.len() + group.len() <= PATH_MAX;
    is_short && is_lvm_name(&longest) && !RESERVED.iter().any(|part| name.contains(part))
}

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
    fn an_image_of_qcow2_has_a_family() {
        let said = parse_name("vm-100-disk-0.qcow2").unwrap();
        assert_eq!(said.image_format, Some(BlockFormat::Qcow2));
        assert_eq!(Family::of("vm-100-disk-0"), None);
        let family = Family::of("vm-100-disk-0.qcow2").unwrap();
        let one = Layer::Snapshot("one_a".to_owned());
        let name = "snap_vm-100-disk-0_one_a.qcow2";
        assert_eq!(family.name(&one), name);
        assert_eq!(family.layer(name), Some(one.clone()));
        assert_eq!(family.takes(&taking(name)), Some(one.clone()));
        for number in [0, 1, 12] {
            assert_eq!(family.was(&nth_freed(name, number)), Some(one.clone()));
        }
        assert_eq!(family.layer("vm-100-disk-0.qcow2"), Some(Layer::Image));
        assert!(fits("vg", name) && !fits("vg", "snap_vm-100-disk-0_a_tdata.qcow2"));
        // With what it is called when it goes, and the group's name.
        let long = format!("vm-100-{}.qcow2", "a".repeat(95));
        assert!(fits("vg", &long) && !fits("volumes", &long));
        for other in [
            "snap_vm-100-disk-01_one.qcow2",
            "snap_vm-100-disk-0_.qcow2",
            "snap_vm-100-disk-0_one",
            "vm-100-disk-1.qcow2",
            "del-vm-100-disk-0.qcow2",
        ] {
            assert!(!family.has(other), "{other}");
        }
        for own in [name, "new_vm-100-disk-0.qcow2", "put_vm-100-disk-0.qcow2"] {
            assert!(family.has(own), "{own}");
            assert_eq!(parse_name(own), None, "{own}");
        }
    }

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
