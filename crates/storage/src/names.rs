//! What volumes' names mean. Pure: nothing is looked at but the names.

use std::collections::BTreeMap;

use model::{BlockFormat, StorageId, VmId, VolumeId};

use crate::{ContentType, StorageConfig, StorageType};

/// What a volume's name says, as the type of its storage reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeName {
    pub content: ContentType,
    /// As lists show it: `raw`, `qcow2`, `iso`, `tgz`.
    pub format: String,
    /// The format of a disk image; none for other files.
    pub image_format: Option<BlockFormat>,
    /// The guest that it belongs to; none for what is shared.
    pub owner: Option<VmId>,
    /// The part of the name that finds the image. The name of a linked clone may lead through its
    /// base's (`100/base-100-disk-0.raw/101/vm-101-disk-0.qcow2`), but needs not.
    pub image: String,
    /// The image that it is a linked clone of, where the name says so.
    pub base: Option<String>,
    /// Whether linked clones can be made of it. A base is never written to.
    pub is_base: bool,
}

/// The lowest number of a disk of this guest that none of these volumes has. A base keeps the number
/// that it had as a disk, and an image and a tree never have the same.
pub(crate) fn free_disk_number<'a>(owner: VmId, names: impl IntoIterator<Item = &'a str>) -> u32 {
    const KINDS: [&str; 4] = ["vm", "base", "subvol", "basevol"];
    let number = |name: &str| -> Option<u32> {
        let file = name.rsplit('/').next()?;
        let stem = file.split_once('.').map_or(file, |(stem, _)| stem);
        let of = |kind: &&str| stem.strip_prefix(&format!("{kind}-{owner}-disk-"));
        KINDS.iter().find_map(of)?.parse().ok()
    };
    let used: Vec<u32> = names.into_iter().filter_map(number).collect();
    let free = (0..).find(|number| !used.contains(number));
    free.expect("there are more numbers than volumes of a storage")
}

/// The types of all storages at one moment, by which the names of all volumes are read. A volume of
/// a storage that is not among them has an unknown owner, and is the same as another only under
/// the same name.
#[derive(Debug, Clone, Default)]
pub struct VolumeNames(BTreeMap<StorageId, StorageType>);

impl VolumeNames {
    pub fn of<'a>(storages: impl IntoIterator<Item = &'a StorageConfig>) -> Self {
        let types = storages
            .into_iter()
            .map(|storage| (storage.id().clone(), storage.spec.kind()));
        Self(types.collect())
    }

    pub fn knows(&self, storage: &StorageId) -> bool {
        self.0.contains_key(storage)
    }

    pub fn parse(&self, volume: &VolumeId) -> Option<VolumeName> {
        self.0.get(volume.storage())?.parse(volume.name())
    }

    /// The guest that the volume was made for.
    pub fn owner(&self, volume: &VolumeId) -> Option<VmId> {
        self.parse(volume)?.owner
    }

    /// The image that this is a linked clone of.
    pub fn base(&self, volume: &VolumeId) -> Option<VolumeId> {
        let base = self.parse(volume)?.base?;
        VolumeId::new(volume.storage().clone(), base).ok()
    }

    /// The one name of all that an image has.
    pub fn image(&self, volume: &VolumeId) -> String {
        let parsed = self.parse(volume);
        parsed.map_or_else(|| volume.name().to_owned(), |name| name.image)
    }

    /// Whether two names are one image's.
    pub fn is_same_image(&self, one: &VolumeId, other: &VolumeId) -> bool {
        one.storage() == other.storage() && self.image(one) == self.image(other)
    }

    /// Whether this is a linked clone of that very image.
    pub fn is_clone_of(&self, volume: &VolumeId, base: &VolumeId) -> bool {
        let named = self.base(volume);
        named.is_some_and(|named| self.is_same_image(&named, base))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> VolumeNames {
        let id = |id: &str| id.parse::<StorageId>().unwrap();
        let types = [
            (id("local"), StorageType::Dir),
            (id("other"), StorageType::Dir),
            (id("thin"), StorageType::LvmThin),
        ];
        VolumeNames(types.into_iter().collect())
    }

    #[test]
    fn a_disk_gets_the_lowest_number_that_is_free() {
        let owner = VmId::new(100).unwrap();
        let names = [
            "100/vm-100-disk-0.qcow2",
            "base-100-disk-1",
            "base-9-disk-2/vm-100-disk-2",
            "100/subvol-100-disk-3.subvol",
            "vm-101-disk-4",
            "vm-100-cloudinit",
        ];
        assert_eq!(free_disk_number(owner, names), 4);
        assert_eq!(free_disk_number(owner, []), 0);
    }

    fn volume(text: &str) -> VolumeId {
        text.parse().unwrap()
    }

    #[test]
    fn a_linked_clone_is_known_by_both_its_names() {
        let names = names();
        let base = volume("local:100/base-100-disk-0.raw");
        let long = volume("local:100/base-100-disk-0.raw/101/vm-101-disk-0.qcow2");
        let short = volume("local:101/vm-101-disk-0.qcow2");
        assert!(names.is_same_image(&long, &short) && !names.is_same_image(&long, &base));
        assert!(names.is_clone_of(&long, &base));
        assert!(!names.is_clone_of(&short, &base) && !names.is_clone_of(&base, &base));
        assert!(!names.is_clone_of(&long, &volume("other:100/base-100-disk-0.raw")));
    }

    #[test]
    fn a_volume_says_whose_it_is() {
        for (text, owner) in [
            ("local:100/vm-100-disk-0.qcow2", Some(100)),
            (
                "local:100/base-100-disk-0.qcow2/101/vm-101-disk-0.qcow2",
                Some(101),
            ),
            ("local:100/brought.raw", Some(100)),
            ("local:iso/vm-100-disk-0.iso", None),
            ("local:import/vm-100-disk-0.raw", None),
            ("thin:vm-100-disk-0", Some(100)),
            ("thin:something", None),
            ("gone:vm-100-disk-0", None),
        ] {
            let owner = owner.map(|owner| VmId::new(owner).unwrap());
            assert_eq!(names().owner(&volume(text)), owner, "{text}");
        }
        assert!(!names().knows(volume("gone:x").storage()));
    }
}
