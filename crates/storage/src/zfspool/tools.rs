//! The programs of ZFS, and how they are called.

use std::path::{Path, PathBuf};
use std::time::Duration;

use model::{StorageId, UnixTime};
use sys::{Command, SharedHost, SysError};
use tokio::time::Instant;

use crate::StorageError;

/// The time-out of calls that only read. Source: Proxmox VE's time-out.
const LOOK: Duration = Duration::from_secs(10);

/// The time-out of changes.
pub(super) const CHANGE: Duration = Duration::from_secs(300);

/// How long the device of a volume may take to appear.
const DEVICE: Duration = Duration::from_secs(30);
const LOOKS_AGAIN: Duration = Duration::from_millis(50);

/// How often a dataset that is busy is destroyed again, a second later: something may just be
/// looking into it. Source: Proxmox VE's attempts.
const BUSY_TRIES: u32 = 6;

/// Prints the dataset of a device.
const ZVOL_ID: &str = "/lib/udev/zvol_id";

const COLUMNS: &str = "name,type,volsize,refquota,used,origin,creation";

/// A dataset right below the storage's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Dataset {
    /// Its own name, without that of the storage's dataset.
    pub(super) name: String,
    pub(super) is_volume: bool,
    /// Of a volume its size, of a file system its quota; 0 for none. In bytes.
    pub(super) size: u64,
    pub(super) used: u64,
    /// The snapshot that it is a clone of, in full.
    pub(super) origin: Option<String>,
    pub(super) created: UnixTime,
}

/// The programs for one dataset and what is in it.
pub(super) struct Tools {
    pub(super) storage: StorageId,
    /// The storage's dataset.
    pub(super) pool: String,
    pub(super) host: SharedHost,
}

impl Tools {
    /// The name in full.
    pub(super) fn full(&self, name: &str) -> String {
        format!("{}/{name}", self.pool)
    }

    /// What is right below the storage's dataset.
    pub(super) async fn datasets(&self) -> Result<Vec<Dataset>, StorageError> {
        let args = [
            "list",
            "-o",
            COLUMNS,
            "-t",
            "volume,filesystem",
            "-d",
            "1",
            "-H",
            "-p",
        ];
        let printed = self
            .look("zfs", &[&args[..], &[&self.pool]].concat())
            .await?;
        Ok(printed
            .lines()
            .filter_map(|line| parse(line, &self.pool))
            .collect())
    }

    /// One of them; none where there is none of that name.
    pub(super) async fn find(&self, name: &str) -> Result<Option<Dataset>, StorageError> {
        let full = self.full(name);
        let args = [
            "list",
            "-o",
            COLUMNS,
            "-t",
            "volume,filesystem",
            "-H",
            "-p",
            &full,
        ];
        match self.look("zfs", &args).await {
            Ok(printed) => Ok(printed.lines().find_map(|line| parse(line, &self.pool))),
            Err(StorageError::NoVolume { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(super) async fn get(&self, name: &str) -> Result<Dataset, StorageError> {
        let found = self.find(name).await?;
        found.ok_or_else(|| self.no_volume(name))
    }

    /// The snapshots of a dataset, oldest first, those of others among them.
    pub(super) async fn snapshots(&self, name: &str) -> Result<Vec<String>, StorageError> {
        let full = self.full(name);
        let args = [
            "list",
            "-H",
            "-o",
            "name",
            "-t",
            "snapshot",
            "-s",
            "createtxg",
            "-d",
            "1",
            &full,
        ];
        let printed = self.look("zfs", &args).await?;
        let names = printed.lines().filter_map(|line| line.split_once('@'));
        Ok(names.map(|(_, snapshot)| snapshot.to_owned()).collect())
    }

    /// Removes a volume or a file system with what belongs to it, but no clones of it. False where
    /// there was none.
    pub(super) async fn destroy(&self, name: &str) -> Result<bool, StorageError> {
        self.destroy_with(&["destroy", "-r", &self.full(name)])
            .await
    }

    /// Removes a snapshot that no clone needs. False where there was none.
    pub(super) async fn destroy_snapshot(&self, name: &str) -> Result<bool, StorageError> {
        self.destroy_with(&["destroy", &self.full(name)]).await
    }

    async fn destroy_with(&self, args: &[&str]) -> Result<bool, StorageError> {
        let mut tries = 0;
        loop {
            tries += 1;
            match self.change(args).await {
                Err(StorageError::InUse { .. }) if tries < BUSY_TRIES => {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
                // There was none, or an earlier attempt was cut off after it had done its work.
                Err(StorageError::NoVolume { .. }) => return Ok(false),
                destroyed => return destroyed.map(|()| true),
            }
        }
    }

    /// Runs `zfs` to change something.
    pub(super) async fn change(&self, args: &[&str]) -> Result<(), StorageError> {
        self.run("zfs", args, CHANGE).await.map(drop)
    }

    pub(super) async fn look(&self, program: &str, args: &[&str]) -> Result<String, StorageError> {
        self.run(program, args, LOOK).await
    }

    pub(super) async fn run(
        &self,
        program: &str,
        args: &[&str],
        timeout: Duration,
    ) -> Result<String, StorageError> {
        self.run_with(program, args, timeout, String::new()).await
    }

    /// With a text on standard input, which no other program sees.
    pub(super) async fn run_with(
        &self,
        program: &str,
        args: &[&str],
        timeout: Duration,
        input: String,
    ) -> Result<String, StorageError> {
        let command = Command::new(program)
            .args(args.iter().copied())
            .input(input);
        let output = self.host.run(command.timeout(Some(timeout))).await;
        let output = output.map_err(|error| StorageError::of(&self.storage, error))?;
        if output.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
        let error = output.checked(program).err();
        Err(self.failed(args.last().copied().unwrap_or_default(), &complaint, error))
    }

    fn failed(&self, full: &str, complaint: &str, error: Option<SysError>) -> StorageError {
        let storage = self.storage.clone();
        let below = full.strip_prefix(&format!("{}/", self.pool));
        let name = below.unwrap_or(full).to_owned();
        let says = |text: &str| complaint.contains(text);
        if says("dataset already exists") {
            StorageError::Exists { storage, name }
        } else if says("dataset does not exist") || says("could not find any snapshots") {
            StorageError::NoVolume { storage, name }
        } else if says("dataset is busy") {
            StorageError::InUse { storage, name }
        } else if says("out of space") || says("quota exceeded") {
            StorageError::Full(storage)
        } else if says("has dependent clones") || says("has children") {
            let text = format!("base volume '{name}' is still in use by linked clones");
            StorageError::Refused(text)
        } else {
            let first = complaint
                .lines()
                .map(str::trim)
                .find(|line| !line.is_empty());
            match (error, first) {
                (
                    Some(SysError::ProgramFailed {
                        program, status, ..
                    }),
                    Some(message),
                ) => {
                    let message = message.to_owned();
                    let error = SysError::ProgramFailed {
                        program,
                        status,
                        message,
                    };
                    StorageError::of(&self.storage, error)
                }
                (Some(error), _) => StorageError::of(&self.storage, error),
                (None, _) => StorageError::Refused(complaint.trim().to_owned()),
            }
        }
    }

    pub(super) fn no_volume(&self, name: &str) -> StorageError {
        StorageError::NoVolume {
            storage: self.storage.clone(),
            name: name.to_owned(),
        }
    }

    /// Where udev makes the device of a volume, or of a snapshot of one.
    pub(super) fn link(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("/dev/zvol/{}", self.full(name)))
    }

    /// The device of a volume, once it is there. The link may still lead to the device of a dataset
    /// that had this name before, so the device is asked. Only where none answers, ZFS is asked whether
    /// there is such a volume at all.
    pub(super) async fn device(&self, name: &str) -> Result<PathBuf, StorageError> {
        let (link, full) = (self.link(name), self.full(name));
        if let Some(device) = self.device_at(&link, &full).await {
            return Ok(device);
        }
        self.check_there(name).await?;
        let deadline = Instant::now() + DEVICE;
        loop {
            if let Some(device) = self.device_at(&link, &full).await {
                return Ok(device);
            }
            if Instant::now() >= deadline {
                let link = link.display();
                let reason = format!("the device '{link}' of '{full}' does not appear");
                let storage = self.storage.clone();
                return Err(StorageError::Inactive { storage, reason });
            }
            tokio::time::sleep(LOOKS_AGAIN).await;
        }
    }

    /// Refuses where there is no such dataset or snapshot.
    pub(super) async fn check_there(&self, name: &str) -> Result<(), StorageError> {
        let args = ["list", "-H", "-o", "name", &self.full(name)];
        self.look("zfs", &args).await.map(drop)
    }

    async fn device_at(&self, link: &Path, full: &str) -> Option<PathBuf> {
        let device = self.host.resolve(link).await.ok()?;
        let ask = Command::new(ZVOL_ID).arg(device.display().to_string());
        let output = self.host.run(ask.timeout(Some(LOOK))).await.ok()?;
        let is = String::from_utf8_lossy(&output.stdout);
        (output.success() && is.trim() == full).then_some(device)
    }
}

/// Reads a line of `zfs list -H -p`; none for the storage's own dataset and what is no dataset.
fn parse(line: &str, pool: &str) -> Option<Dataset> {
    let mut fields = line.split('\t');
    let mut next = || fields.next();
    let name = next()?.strip_prefix(pool)?.strip_prefix('/')?.to_owned();
    let is_volume = next()? == "volume";
    let (volsize, refquota) = (next()?, next()?);
    let size = if is_volume { volsize } else { refquota };
    Some(Dataset {
        name,
        is_volume,
        size: size.parse().unwrap_or_default(),
        used: next()?.parse().unwrap_or_default(),
        origin: next().filter(|origin| *origin != "-").map(str::to_owned),
        created: next()?.parse().unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datasets_are_read_as_zfs_prints_them() {
        let line = "tank/g/vm-101-disk-0\tvolume\t8388608\t-\t12288\ttank/g/base-100-disk-0@__base__\t1764331200";
        let found = parse(line, "tank/g").unwrap();
        assert_eq!(
            (found.name.as_str(), found.size, found.used),
            ("vm-101-disk-0", 8 << 20, 12_288)
        );
        assert_eq!(
            found.origin.as_deref(),
            Some("tank/g/base-100-disk-0@__base__")
        );
        let line = "tank/subvol-100-disk-0\tfilesystem\t-\t0\t98304\t-\t1764331201";
        let found = parse(line, "tank").unwrap();
        assert!(!found.is_volume && found.size == 0 && found.origin.is_none());
        assert_eq!(
            parse("tank\tfilesystem\t-\t0\t98304\t-\t1764331201", "tank"),
            None
        );
        assert_eq!(parse("", "tank"), None);
    }
}
