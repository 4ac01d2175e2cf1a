//! Which backups of a storage stay, by a rule for each guest.

use std::collections::BTreeMap;

use model::retention::Retention;
use model::{Error, GuestKind, StorageId, UnixTime, VmId, VolumeId};
use serde::{Deserialize, Serialize};
use storage::{Backup, BackupName, ContentType, Storage, backup_kind};

use super::named;
use crate::NodeContext;
use crate::host::time_zone;

/// What a rule says about a backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PruneMark {
    Keep,
    Remove,
    /// A user has protected it: no rule applies, and it counts for none.
    Protected,
    /// Its name is not the one that it was given: likewise.
    Renamed,
}

impl PruneMark {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Keep => "keep",
            Self::Remove => "remove",
            Self::Protected => "protected",
            Self::Renamed => "renamed",
        }
    }
}

/// A backup, and what a rule says about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MarkedBackup {
    pub volume: VolumeId,
    pub created: UnixTime,
    /// None where the name does not say it.
    pub kind: Option<GuestKind>,
    pub owner: Option<VmId>,
    pub mark: PruneMark,
}

/// Which backups are looked at, and by which rule.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Pruning {
    pub storage: StorageId,
    /// None for the storage's own.
    pub keep: Option<Retention>,
    pub kind: Option<GuestKind>,
    pub vmid: Option<VmId>,
}

impl NodeContext {
    /// Backups by name, with what a rule says about each. Nothing is changed.
    pub async fn mark_backups(&self, pruning: &Pruning) -> Result<Vec<MarkedBackup>, Error> {
        let id = &pruning.storage;
        let storage = self.storage(id).await?;
        let backups = storage.backups();
        let takes = storage.config().takes(ContentType::Backup);
        let Some(backups) = backups.filter(|_| takes) else {
            let text = format!("storage '{id}' does not support backups");
            return Err(Error::conflict(text));
        };
        let keep = match pruning.keep {
            Some(keep) => keep,
            None => own_rule(&*storage)?,
        };
        storage.activate().await?;
        let found = backups.list_backups().await?;
        let wanted: Vec<Backup> = found
            .into_iter()
            .filter(|backup| pruning.takes(backup))
            .collect();
        let times = self.begun(&wanted).await?;
        let marks = marks(&wanted, &keep);
        let all = wanted.into_iter().zip(times).zip(marks);
        let marked = all.map(|((backup, created), mark)| {
            Ok(MarkedBackup {
                created,
                kind: backup_kind(backup.file()),
                owner: backup.volume.owner,
                volume: named(id, backup.volume.name)?,
                mark,
            })
        });
        marked.collect()
    }

    /// When backups were begun, by their names, or by their files where they were renamed.
    pub async fn begun(&self, backups: &[Backup]) -> Result<Vec<UnixTime>, Error> {
        let names = backups
            .iter()
            .map(|backup| BackupName::parse(backup.file()));
        let names: Vec<Option<BackupName>> = names.collect();
        let civil: Vec<i64> = names.iter().flatten().map(|name| name.civil_s).collect();
        let zone = match civil.is_empty() {
            true => String::new(),
            false => time_zone::of(self).await?,
        };
        let mut times = time_zone::times(&self.host, &zone, &civil)
            .await?
            .into_iter();
        let begun = backups.iter().zip(names).map(|(backup, name)| {
            let by_name = name.and_then(|_| times.next());
            by_name.unwrap_or(backup.volume.created)
        });
        Ok(begun.collect())
    }
}

impl Pruning {
    fn takes(&self, backup: &Backup) -> bool {
        let kind = backup_kind(backup.file());
        let (vmid, owner) = (self.vmid, backup.volume.owner);
        self.kind.is_none_or(|wanted| kind == Some(wanted))
            && vmid.is_none_or(|wanted| owner == Some(wanted))
    }
}

fn own_rule(storage: &dyn Storage) -> Result<Retention, Error> {
    let config = storage.config();
    let configured = config.spec.folder();
    let configured = configured.and_then(|folder| folder.prune_backups.as_deref());
    let id = config.id();
    match configured {
        Some(rule) => Retention::parse(rule)
            .map_err(|reason| Error::conflict(format!("storage '{id}': prune-backups: {reason}"))),
        None => Err(Error::conflict(format!(
            "no prune-backups options configured for storage '{id}'"
        ))),
    }
}

/// A mark for each backup. Each guest's are a group, and those of its number as another kind are another.
fn marks(backups: &[Backup], keep: &Retention) -> Vec<PruneMark> {
    let mut groups: BTreeMap<(&str, VmId), Vec<(i64, usize)>> = BTreeMap::new();
    let mut marks = Vec::new();
    for (at, backup) in backups.iter().enumerate() {
        let name = BackupName::parse(backup.file());
        marks.push(match name {
            _ if backup.is_protected => PruneMark::Protected,
            None => PruneMark::Renamed,
            Some(name) => {
                let group = groups.entry((name.kind.as_str(), name.owner)).or_default();
                group.push((name.civil_s, at));
                PruneMark::Keep
            }
        });
    }
    for group in groups.values_mut() {
        group.sort_unstable();
        group.reverse();
        let times: Vec<i64> = group.iter().map(|(time, _)| *time).collect();
        for ((_, at), kept) in group.iter().zip(keep.kept(&times)) {
            if !kept {
                marks[*at] = PruneMark::Remove;
            }
        }
    }
    marks
}

#[cfg(test)]
mod tests {
    use storage::VolumeInfo;

    use super::*;

    fn backup(file: &str, is_protected: bool) -> Backup {
        Backup {
            volume: VolumeInfo {
                name: format!("backup/{file}"),
                content: ContentType::Backup,
                format: "vma".to_owned(),
                size: 0,
                used: None,
                created: 0,
                owner: None,
            },
            is_protected,
            notes: None,
        }
    }

    #[test]
    fn each_guest_has_a_group_that_protected_and_renamed_ones_do_not_count_in() {
        let rows = [
            ("vzdump-lxc-300-2026_01_01-00_00_00.tar", false, "keep"),
            ("vzdump-qemu-300-2026_01_01-00_00_00.vma", false, "remove"),
            ("vzdump-qemu-300-2026_01_02-00_00_00.vma", false, "keep"),
            ("vzdump-qemu-300-2026_01_03-00_00_00.vma", true, "protected"),
            ("vzdump-qemu-300-2026_01_04-mine.vma", false, "renamed"),
            ("vzdump-qemu-301-2026_01_01-00_00_00.vma", false, "keep"),
        ];
        let backups = rows.map(|(file, is_protected, _)| backup(file, is_protected));
        let keep = Retention {
            last: 1,
            ..Retention::default()
        };
        let found: Vec<&str> = marks(&backups, &keep)
            .into_iter()
            .map(PruneMark::as_str)
            .collect();
        assert_eq!(found, rows.map(|(.., mark)| mark));
    }
}
