//! Between volume names and paths. Pure.

use model::{BlockFormat, VmId, text};

use crate::{ContentType, VolumeName};

/// Where a volume's file is and what its name says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Location {
    /// Relative to the folder of its content.
    pub(crate) below: String,
    pub(crate) name: VolumeName,
}

/// The folder of a kind of content, where none is configured.
pub(crate) fn folder(content: ContentType) -> &'static str {
    match content {
        ContentType::Images => "images",
        ContentType::Rootdir => "private",
        ContentType::Vztmpl => "template/cache",
        ContentType::Iso => "template/iso",
        ContentType::Backup => "dump",
        ContentType::Snippets => "snippets",
        ContentType::Import => "import",
    }
}

/// The ending of a tree's folder, and its format in lists.
pub(super) const TREE_FORMAT: &str = "subvol";

/// The beginning of a file that is a snapshot of an image and no volume.
pub(super) const LAYER_PREFIX: &str = "snap-";

/// Whether a volume is a tree.
pub(super) fn is_tree(name: &VolumeName) -> bool {
    name.content == ContentType::Rootdir
}

/// The content whose folder this one is in: both kinds of disks are in one.
pub(crate) fn kept_with(content: ContentType) -> ContentType {
    match content {
        ContentType::Rootdir => ContentType::Images,
        other => other,
    }
}

/// A file name without its ending.
pub(crate) fn stem(file: &str) -> &str {
    file.rsplit_once('.').map_or(file, |(stem, _)| stem)
}

/// Reads a volume name; none where it is none of a directory storage's.
pub(crate) fn parse(name: &str) -> Option<Location> {
    if !text::is_volume_name(name) {
        return None;
    }
    let parts: Vec<&str> = name.split('/').collect();
    let (base, first, file) = match parts[..] {
        [first, file] => (None, first, file),
        // A linked clone's name leads through its base's, or the part of it that is its own.
        [base_owner, base, first, file] => (Some((base_owner, base)), first, file),
        _ => return None,
    };
    if file.starts_with('.') {
        return None;
    }
    if let Some((base_owner, base)) = base {
        return parse_clone(base_owner, base, first, file);
    }
    match ContentType::from_name(first) {
        None => parse_image(first, file).or_else(|| parse_tree(first, file)),
        Some(ContentType::Images | ContentType::Rootdir) => None,
        Some(content) => parse_file(content, file),
    }
}

fn parse_image(owner: &str, file: &str) -> Option<Location> {
    let owner: VmId = owner.parse().ok()?;
    if file.starts_with(LAYER_PREFIX) && file.ends_with(".qcow2") {
        return None;
    }
    let (_, ending) = file.rsplit_once('.')?;
    let format = image_format(ending)?;
    Some(Location {
        below: format!("{owner}/{file}"),
        name: VolumeName {
            content: ContentType::Images,
            format: ending.to_owned(),
            image_format: Some(format),
            owner: Some(owner),
            image: format!("{owner}/{file}"),
            base: None,
            is_base: file.starts_with("base-"),
        },
    })
}

/// `subvol-100-disk-0.subvol`: the number in the name is the owner's, so that no guest's file can be
/// taken for a tree.
fn parse_tree(owner: &str, file: &str) -> Option<Location> {
    let owner: VmId = owner.parse().ok()?;
    let stem = file.strip_suffix(TREE_FORMAT)?.strip_suffix('.')?;
    let is_base = stem.starts_with("basevol-");
    let prefix = if is_base { "basevol" } else { "subvol" };
    stem.strip_prefix(&format!("{prefix}-{owner}-"))?;
    Some(Location {
        below: format!("{owner}/{file}"),
        name: VolumeName {
            content: ContentType::Rootdir,
            format: TREE_FORMAT.to_owned(),
            image_format: None,
            owner: Some(owner),
            image: format!("{owner}/{file}"),
            base: None,
            is_base,
        },
    })
}

fn parse_clone(base_owner: &str, base: &str, owner: &str, file: &str) -> Option<Location> {
    parse_image(base_owner, base).filter(|base| base.name.is_base)?;
    let mut location = parse_image(owner, file)?;
    location.name.base = Some(format!("{base_owner}/{base}"));
    (location.name.image_format == Some(BlockFormat::Qcow2)).then_some(location)
}

fn image_format(ending: &str) -> Option<BlockFormat> {
    match ending {
        "raw" => Some(BlockFormat::Raw),
        "qcow2" => Some(BlockFormat::Qcow2),
        "vmdk" => Some(BlockFormat::Vmdk),
        _ => None,
    }
}

fn parse_file(content: ContentType, file: &str) -> Option<Location> {
    let ending = file_ending(content, file)?;
    let format = match content {
        ContentType::Import => image_format(&ending),
        _ => None,
    };
    Some(Location {
        below: file.to_owned(),
        name: VolumeName {
            content,
            format: ending,
            image_format: format,
            owner: match content {
                ContentType::Backup => backup_owner(file),
                _ => None,
            },
            image: format!("{}/{file}", content.as_str()),
            base: None,
            is_base: false,
        },
    })
}

/// `vzdump-qemu-100-2026_11_21-02_32_00.vma.zst` is of guest 100.
fn backup_owner(file: &str) -> Option<VmId> {
    let rest = file.strip_prefix("vzdump-")?;
    let (kind, rest) = rest.split_once('-')?;
    let (owner, _) = rest.split_once('-')?;
    owner
        .parse()
        .ok()
        .filter(|_| kind == "qemu" || kind == "lxc")
}

/// What lists show as the format of a file; none where the file does not belong there.
fn file_ending(content: ContentType, file: &str) -> Option<String> {
    let lower = file.to_ascii_lowercase();
    let ending = match content {
        ContentType::Snippets => return Some("snippet".to_owned()),
        ContentType::Backup => {
            let known = crate::backups::ENDINGS.iter();
            known.copied().find(|ending| lower.ends_with(ending))?
        }
        _ => content
            .file_endings()
            .iter()
            .find(|ending| lower.ends_with(**ending))?,
    };
    Some(match (content, ending) {
        (ContentType::Iso, _) => "iso".to_owned(),
        (ContentType::Vztmpl, ".tar.gz") => "tgz".to_owned(),
        (ContentType::Vztmpl, ".tar.xz") => "txz".to_owned(),
        (ContentType::Vztmpl, ".tar.zst") => "tzst".to_owned(),
        (_, ending) => ending.trim_start_matches('.').to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_lead_to_the_paths_of_proxmox_ve() {
        let cases = [
            (
                "100/vm-100-disk-0.qcow2",
                "images/100/vm-100-disk-0.qcow2",
                "qcow2",
            ),
            ("iso/debian-12.ISO", "template/iso/debian-12.ISO", "iso"),
            (
                "vztmpl/debian.tar.zst",
                "template/cache/debian.tar.zst",
                "tzst",
            ),
            ("snippets/user.yaml", "snippets/user.yaml", "snippet"),
            ("import/tiny.qcow2", "import/tiny.qcow2", "qcow2"),
            (
                "100/subvol-100-disk-0.subvol",
                "images/100/subvol-100-disk-0.subvol",
                "subvol",
            ),
        ];
        for (name, path, ending) in cases {
            let found = parse(name).unwrap();
            let at = format!("{}/{}", folder(kept_with(found.name.content)), found.below);
            assert_eq!(
                (at.as_str(), found.name.format.as_str()),
                (path, ending),
                "{name}"
            );
        }
    }

    #[test]
    fn a_backup_belongs_to_the_guest_in_its_name() {
        let owner = |file: &str| parse(&format!("backup/{file}")).unwrap().name.owner;
        let of_100 = owner("vzdump-qemu-100-2026_11_21-02_32_00.vma.zst");
        assert_eq!(of_100, VmId::new(100).ok());
        assert_eq!(owner("vzdump-other-100-x.vma"), None);
        assert_eq!(owner("mine.tar.gz"), None);
    }

    #[test]
    fn what_is_no_volume_has_no_place() {
        for name in [
            "100/../101/vm-101-disk-0.raw",
            "iso/a/b.iso",
            "iso/evil.exe",
            "99/vm-99-disk-0.raw",
            "100/x",
            "images/x.raw",
            "iso/.hidden.iso",
            "100/.hidden.raw",
            "100/subvol-101-disk-0.subvol",
            "100/vm-100-disk-0.subvol",
            "100/.subvol",
            "100/snap-one-vm-100-disk-0.qcow2",
        ] {
            assert_eq!(parse(name), None, "{name}");
        }
    }

    proptest! {
        #[test]
        fn no_name_leaves_the_storage(name in ".{0,60}") {
            if let Some(location) = parse(&name) {
                prop_assert!(!location.below.starts_with('/'));
                prop_assert!(location.below.split('/').all(|part| part != ".." && !part.is_empty()));
            }
        }
    }
}
