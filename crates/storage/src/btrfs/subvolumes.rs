//! Subvolumes, by the program `btrfs`.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sys::{Command, SysError};

use super::Btrfs;
use crate::StorageError;

const PROGRAM: &str = "btrfs";

/// What statfs(2) says of btrfs, in hexadecimal.
const MAGIC: &str = "9123683e";

/// A change waits for what was written before to be on the disk.
const TIMEOUT: Duration = Duration::from_secs(300);

impl Btrfs {
    async fn btrfs(&self, args: &[&OsStr]) -> Result<Vec<u8>, SysError> {
        let args = args.iter().map(|arg| arg.to_string_lossy().into_owned());
        let command = Command::new(PROGRAM).args(args).timeout(Some(TIMEOUT));
        self.host.run(command).await?.checked(PROGRAM)
    }

    async fn subvolume_command(&self, args: &[&str], paths: &[&Path]) -> Result<(), SysError> {
        let args = ["subvolume"].iter().chain(args).map(OsStr::new);
        let args: Vec<&OsStr> = args
            .chain(paths.iter().map(|path| path.as_os_str()))
            .collect();
        self.btrfs(&args).await.map(drop)
    }

    /// Refuses a folder that is on another file system.
    pub(super) async fn check_file_system(&self) -> Result<(), StorageError> {
        let path = &self.spec.path;
        let command = Command::new("stat").args(["--file-system", "--format", "%t", path]);
        let output = self.host.run(command).await;
        let printed = output.and_then(|output| output.checked("stat"));
        let printed = printed.map_err(|source| self.failed(source))?;
        if String::from_utf8_lossy(&printed).trim() == MAGIC {
            return Ok(());
        }
        Err(StorageError::Refused(format!(
            "'{path}' is not a btrfs file system"
        )))
    }

    /// Makes an empty subvolume, whose files are written in place if that is configured.
    pub(super) async fn create(&self, subvolume: &Path) -> Result<(), SysError> {
        self.subvolume_command(&["create"], &[subvolume]).await?;
        if self.spec.nocow != Some(true) {
            return Ok(());
        }
        let path = subvolume.display().to_string();
        let command = Command::new("chattr").args(["+C", &path]);
        self.host.run(command).await?.checked("chattr").map(drop)
    }

    /// Makes one that begins as another is.
    pub(super) async fn copy(&self, from: &Path, to: &Path) -> Result<(), SysError> {
        self.subvolume_command(&["snapshot"], &[from, to]).await
    }

    /// The same, which cannot be written to.
    pub(super) async fn freeze(&self, from: &Path, to: &Path) -> Result<(), SysError> {
        self.subvolume_command(&["snapshot", "-r"], &[from, to])
            .await
    }

    /// False where there was none.
    pub(super) async fn delete(&self, subvolume: &Path) -> Result<bool, SysError> {
        if self.host.stat(subvolume).await?.is_none() {
            return Ok(false);
        }
        let deleted = self
            .subvolume_command(&["delete", "--commit-after"], &[subvolume])
            .await;
        deleted.map(|()| true)
    }

    /// Removes a volume with its snapshots and what a roll-back left. False where there was none.
    pub(super) async fn delete_with_snapshots(&self, subvolume: &Path) -> Result<bool, SysError> {
        for (_, path) in self.snapshots_at(subvolume).await? {
            self.delete(&path).await?;
        }
        self.delete(&back(subvolume)).await?;
        self.delete(subvolume).await
    }

    pub(super) async fn set_read_only(&self, subvolume: &Path, to: bool) -> Result<(), SysError> {
        let flag = if to { "true" } else { "false" };
        let args = ["property", "set", "-t", "subvol"].map(OsStr::new);
        let what = [subvolume.as_os_str(), OsStr::new("ro"), OsStr::new(flag)];
        self.btrfs(&[&args[..], &what].concat()).await.map(drop)
    }

    /// The snapshots of a volume, with their subvolumes.
    pub(super) async fn snapshots_at(
        &self,
        subvolume: &Path,
    ) -> Result<Vec<(String, PathBuf)>, SysError> {
        let (folder, file) = parts(subvolume);
        let prefix = format!("{file}@");
        let entries = self.host.list(folder).await?.into_iter();
        let snapshots = entries.filter_map(|entry| {
            let snapshot = entry.name.strip_prefix(&prefix)?.to_owned();
            Some((snapshot, folder.join(&entry.name)))
        });
        Ok(snapshots.collect())
    }

    /// The generation of the file system in which a subvolume was made, which grows with time.
    pub(super) async fn generation(&self, subvolume: &Path) -> Result<u64, SysError> {
        let args = [
            OsStr::new("subvolume"),
            OsStr::new("show"),
            subvolume.as_os_str(),
        ];
        let printed = self.btrfs(&args).await?;
        let printed = String::from_utf8_lossy(&printed);
        let line = printed
            .lines()
            .find_map(|line| line.trim().strip_prefix("Gen at creation:"));
        Ok(line
            .and_then(|number| number.trim().parse().ok())
            .unwrap_or_default())
    }

    /// Snapshots are found by the name of their volume, which therefore keeps it.
    pub(super) async fn check_no_snapshots(
        &self,
        name: &str,
        subvolume: &Path,
    ) -> Result<(), StorageError> {
        let snapshots = self.snapshots_at(subvolume).await;
        match snapshots.map_err(|source| self.failed(source))?.first() {
            None => Ok(()),
            Some((first, _)) => {
                let text = format!("volume '{name}' has a snapshot '{first}'");
                Err(StorageError::Refused(text))
            }
        }
    }
}

fn parts(subvolume: &Path) -> (&Path, String) {
    let folder = subvolume.parent().unwrap_or(subvolume);
    let file = subvolume.file_name().unwrap_or_default();
    (folder, file.to_string_lossy().into_owned())
}

/// The subvolume of a snapshot.
pub(super) fn snapshot(subvolume: &Path, snapshot: &str) -> PathBuf {
    let (folder, file) = parts(subvolume);
    folder.join(format!("{file}@{snapshot}"))
}

/// What a roll-back is making.
pub(super) fn back(subvolume: &Path) -> PathBuf {
    let (folder, file) = parts(subvolume);
    folder.join(format!(".back-{file}"))
}
