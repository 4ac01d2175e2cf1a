//! What lies beside a backup, as Proxmox VE puts it there:
//!
//! ```text
//!   dump/vzdump-qemu-100-….vma.zst             the backup
//!   dump/vzdump-qemu-100-….vma.zst.notes       what users have written about it
//!   dump/vzdump-qemu-100-….vma.zst.protected   empty: it is not to be removed
//!   dump/vzdump-qemu-100-….log                 the log of the task that made it
//! ```

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use sys::FileKind;

use super::{Dir, as_it_is, parse_name};
use crate::backups::stem;
use crate::{Backup, Backups, ContentType, StorageError, VolumeName};

const NOTES: &str = ".notes";
const PROTECTED: &str = ".protected";

/// What is longer was not written as notes.
const NOTES_BYTES_MAX: u64 = 64 << 10;

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut beside = path.as_os_str().to_owned();
    beside.push(ending);
    beside.into()
}

impl Dir {
    /// Where a backup is.
    fn backup_path(&self, name: &str) -> Result<(PathBuf, VolumeName), StorageError> {
        let location = self.locate(name)?;
        match location.name.content {
            ContentType::Backup => Ok((self.path_of(&location), location.name)),
            _ => Err(StorageError::BadName(name.to_owned())),
        }
    }

    /// Removes what belongs to a backup besides its file.
    pub(super) async fn remove_beside(&self, path: &Path) -> Result<(), StorageError> {
        let file = path.file_name().and_then(|file| file.to_str());
        let log = file.and_then(stem).map(|stem| format!("{stem}.log"));
        let log = log.map(|log| path.with_file_name(log));
        let all = [NOTES, PROTECTED].map(|ending| beside(path, ending));
        for beside in all.into_iter().chain(log) {
            let removed = self.host.remove(&beside).await;
            removed.map_err(|source| self.failed(source))?;
        }
        Ok(())
    }

    async fn notes(&self, path: &Path) -> Result<Option<String>, StorageError> {
        let path = beside(path, NOTES);
        let found = self.host.stat(&path).await;
        let found = found.map_err(|source| self.failed(source))?;
        if found.is_none_or(|found| found.kind != FileKind::File || found.size > NOTES_BYTES_MAX) {
            return Ok(None);
        }
        // By what was opened, and no link: another writer of the folder may exchange it.
        let file = self.host.open_image(&path, false, false).await;
        let file = file.map_err(|source| self.failed(source))?;
        let notes = self.host.read_at(&file, &path, 0, NOTES_BYTES_MAX as usize);
        let notes = notes.await.map_err(|source| self.failed(source))?;
        Ok(Some(String::from_utf8_lossy(&notes).into_owned()))
    }

    async fn require(&self, name: &str) -> Result<PathBuf, StorageError> {
        let (path, _) = self.backup_path(name)?;
        match self.is_there(&path).await? {
            true => Ok(path),
            false => Err(self.no_volume(name)),
        }
    }
}

#[async_trait]
impl Backups for Dir {
    async fn list_backups(&self) -> Result<Vec<Backup>, StorageError> {
        let folder = self.folder(ContentType::Backup);
        let entries = self.host.list(&folder).await;
        let entries = entries.map_err(|source| self.failed(source))?;
        let names: BTreeSet<&str> = entries.iter().map(|entry| entry.name.as_str()).collect();
        let mut backups = Vec::new();
        for entry in entries.iter().filter(|entry| entry.kind == FileKind::File) {
            let file = &entry.name;
            let name = format!("{}/{file}", ContentType::Backup.as_str());
            let Some(said) = parse_name(&name) else {
                continue;
            };
            let has = |ending: &str| names.contains(format!("{file}{ending}").as_str());
            let notes = match has(NOTES) {
                true => self.notes(&folder.join(file)).await?,
                false => None,
            };
            backups.push(Backup {
                is_protected: has(PROTECTED),
                volume: as_it_is(&name, said, entry, entry.size),
                notes,
            });
        }
        backups.sort_by(|one, other| one.volume.name.cmp(&other.volume.name));
        Ok(backups)
    }

    async fn backup(&self, name: &str) -> Result<Option<Backup>, StorageError> {
        let (path, said) = self.backup_path(name)?;
        let entry = self.host.stat(&path).await;
        let entry = entry.map_err(|source| self.failed(source))?;
        let Some(entry) = entry.filter(|entry| entry.kind == FileKind::File) else {
            return Ok(None);
        };
        Ok(Some(Backup {
            is_protected: self.is_there(&beside(&path, PROTECTED)).await?,
            volume: as_it_is(name, said, &entry, entry.size),
            notes: self.notes(&path).await?,
        }))
    }

    async fn protect(&self, name: &str, is_protected: bool) -> Result<(), StorageError> {
        let path = beside(&self.require(name).await?, PROTECTED);
        let done = match is_protected {
            true => self.host.write(&path, b"", 0o644).await,
            false => self.host.remove(&path).await.map(drop),
        };
        done.map_err(|source| self.failed(source))
    }

    async fn annotate(&self, name: &str, notes: &str) -> Result<(), StorageError> {
        let path = beside(&self.require(name).await?, NOTES);
        let done = match notes.is_empty() {
            false => self.host.write(&path, notes.as_bytes(), 0o644).await,
            true => self.host.remove(&path).await.map(drop),
        };
        done.map_err(|source| self.failed(source))
    }
}
