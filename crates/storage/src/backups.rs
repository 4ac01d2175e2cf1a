//! Backups of guests, as files: what their names say, and what belongs to one.

use async_trait::async_trait;
use model::calendar::{civil_date, day_number};
use model::{GuestKind, VmId};

use crate::{StorageError, VolumeInfo};

/// What the names of backups begin with.
const PREFIX: &str = "vzdump-";

/// How backups may end. Source: Proxmox VE's names.
pub(crate) const ENDINGS: &[&str] = &[
    ".vma", ".vma.zst", ".vma.gz", ".vma.lzo", ".vma.bz2", ".tar", ".tar.zst", ".tar.gz",
    ".tar.lzo", ".tar.bz2", ".tgz",
];

/// What the name of a backup says that was not renamed:
/// `vzdump-qemu-100-2026_11_21-02_32_00.vma.zst`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackupName {
    pub kind: GuestKind,
    pub owner: VmId,
    /// When it was begun, by the clocks of the node that made it (see `model::calendar`).
    pub civil_s: i64,
}

impl BackupName {
    /// Reads a file's name; none where it is not one that a backup is given.
    pub fn parse(file: &str) -> Option<Self> {
        let stem = stem(file)?;
        let mut parts = stem.strip_prefix(PREFIX)?.split('-');
        let kind = kind_named(parts.next()?)?;
        let owner = parts.next()?.parse().ok()?;
        let [year, month, day] = numbers(parts.next()?, [4, 2, 2])?;
        let [hour, minute, second] = numbers(parts.next()?, [2, 2, 2])?;
        let number = day_number(year, month, day);
        let is_day = civil_date(number) == (year, month as u32, day as u32);
        let is_time = hour < 24 && minute < 60 && second < 60;
        (is_day && is_time && parts.next().is_none()).then_some(Self {
            kind,
            owner,
            civil_s: ((number * 24 + hour) * 60 + minute) * 60 + second,
        })
    }
}

/// The kind of guest that a backup is of, as far as its name says so.
pub fn backup_kind(file: &str) -> Option<GuestKind> {
    kind_named(file.strip_prefix(PREFIX)?.split_once('-')?.0)
}

fn kind_named(word: &str) -> Option<GuestKind> {
    [GuestKind::Qemu, GuestKind::Lxc]
        .into_iter()
        .find(|kind| kind.as_str() == word)
}

/// A backup's name without its ending.
pub(crate) fn stem(file: &str) -> Option<&str> {
    let stems = ENDINGS
        .iter()
        .filter_map(|ending| file.strip_suffix(ending));
    stems.min_by_key(|stem| stem.len())
}

/// Three numbers of as many digits, between underscores.
fn numbers(text: &str, digits: [usize; 3]) -> Option<[i64; 3]> {
    let mut parts = text.split('_');
    let mut found = [0; 3];
    for (found, digits) in found.iter_mut().zip(digits) {
        let part = parts.next()?;
        let is_number = part.len() == digits && part.bytes().all(|byte| byte.is_ascii_digit());
        *found = part.parse().ok().filter(|_| is_number)?;
    }
    parts.next().is_none().then_some(found)
}

/// A backup, as it is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backup {
    pub volume: VolumeInfo,
    /// It is not to be removed until a user takes that back.
    pub is_protected: bool,
    /// What users have written about it.
    pub notes: Option<String>,
}

impl Backup {
    /// The name of its file.
    pub fn file(&self) -> &str {
        let name = self.volume.name.as_str();
        name.rsplit_once('/').map_or(name, |(_, file)| file)
    }
}

/// The backups of a storage.
#[async_trait]
pub trait Backups: Send + Sync {
    /// All of them, by name.
    async fn list_backups(&self) -> Result<Vec<Backup>, StorageError>;

    /// One of them. `BadName` where the name is no backup's.
    async fn backup(&self, name: &str) -> Result<Option<Backup>, StorageError>;

    /// Protects one that is there, or takes its protection back. May be repeated.
    async fn protect(&self, name: &str, is_protected: bool) -> Result<(), StorageError>;

    /// Replaces what is written about one that is there; by nothing, if that is empty.
    async fn annotate(&self, name: &str, notes: &str) -> Result<(), StorageError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_what_a_backup_is_of() {
        let read = BackupName::parse("vzdump-qemu-300-2026_01_03-00_00_00.vma.zst").unwrap();
        let expected = BackupName {
            kind: GuestKind::Qemu,
            owner: VmId::new(300).unwrap(),
            civil_s: 1_767_398_400,
        };
        assert_eq!(read, expected);
        let container = BackupName::parse("vzdump-lxc-301-2024_02_29-23_59_59.tgz").unwrap();
        assert_eq!(
            (container.kind, container.civil_s),
            (GuestKind::Lxc, 1_709_251_199)
        );
        for renamed in [
            "vzdump-qemu-300-2026_01_03-00_00_00-before.vma.zst",
            "vzdump-qemu-300-2026_02_29-00_00_00.vma.zst",
            "vzdump-qemu-300-2026_1_03-00_00_00.vma",
            "vzdump-qemu-300-2026_01_03-24_00_00.vma",
            "vzdump-qemu-99-2026_01_03-00_00_00.vma",
            "vzdump-vm-300-2026_01_03-00_00_00.vma",
            "mine-2026_01_03-00_00_00.vma",
            "vzdump-qemu-300-2026_01_03-00_00_00.zip",
        ] {
            assert_eq!(BackupName::parse(renamed), None, "{renamed}");
        }
        assert_eq!(backup_kind("vzdump-lxc-301-mine.tar"), Some(GuestKind::Lxc));
        assert_eq!(backup_kind("mine.tar"), None);
    }
}
