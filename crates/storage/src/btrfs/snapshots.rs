//! Snapshots: subvolumes beside the image's that cannot be written to. Images that are files have
//! theirs inside, as in a directory storage.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use model::{BlockFormat, BlockSource, BlockSpec};

use super::subvolumes::{back, snapshot as at};
use super::{Btrfs, DISK};
use crate::{Attacher, SnapshotMaker, SnapshotSpec, Snapshots, Storage, StorageError};

#[async_trait]
impl Snapshots for Btrfs {
    fn maker(&self, name: &str) -> Option<SnapshotMaker> {
        match self.subvolume(name).ok()? {
            Some(_) => Some(SnapshotMaker::Storage),
            None => self.of_files().maker(name),
        }
    }

    async fn check_image(&self, name: &str) -> Result<(), StorageError> {
        match self.subvolume(name)? {
            // A raw file refers to nothing.
            Some(_) => Ok(()),
            None => self.of_files().check_image(name).await,
        }
    }

    async fn list_snapshots(&self, name: &str) -> Result<Vec<String>, StorageError> {
        let Some(subvolume) = self.subvolume(name)? else {
            return self.of_files().list_snapshots(name).await;
        };
        let found = self.snapshots_at(&subvolume).await;
        let found = found.map_err(|source| self.failed(source))?;
        let mut dated = Vec::new();
        for (snapshot, path) in found {
            dated.push((self.made_at(&path).await?, snapshot));
        }
        dated.sort();
        Ok(dated.into_iter().map(|(_, snapshot)| snapshot).collect())
    }

    async fn create_snapshot(&self, name: &str, snapshot: &str) -> Result<(), StorageError> {
        let Some(subvolume) = self.subvolume(name)? else {
            return self.of_files().create_snapshot(name, snapshot).await;
        };
        let target = at(&subvolume, snapshot);
        if !self.dir.is_there(&subvolume).await? {
            return Err(self.dir.no_volume(name));
        }
        if self.dir.is_there(&target).await? {
            return Err(self.dir.exists(&format!("{name}@{snapshot}")));
        }
        let made = self.freeze(&subvolume, &target).await;
        made.map_err(|source| self.failed(source))
    }

    async fn check_roll_back(&self, name: &str, snapshot: &str) -> Result<(), StorageError> {
        let Some(subvolume) = self.subvolume(name)? else {
            return self.of_files().check_roll_back(name, snapshot).await;
        };
        match self.dir.is_there(&at(&subvolume, snapshot)).await? {
            true => Ok(()),
            false => Err(StorageError::no_snapshot(
                self.config().id(),
                name,
                snapshot,
            )),
        }
    }

    /// What the volume will be is made first, and takes its name in one step.
    async fn roll_back(&self, name: &str, snapshot: &str) -> Result<(), StorageError> {
        let Some(subvolume) = self.subvolume(name)? else {
            return self.of_files().roll_back(name, snapshot).await;
        };
        let source = self.existing(&subvolume, name, snapshot).await?;
        let rolled = async {
            let made = back(&subvolume);
            self.delete(&made).await?;
            self.copy(&source, &made).await?;
            self.host.exchange(&made, &subvolume).await?;
            self.delete(&made).await
        };
        let rolled = rolled.await;
        rolled.map(drop).map_err(|source| self.failed(source))
    }

    async fn delete_snapshot(&self, name: &str, snapshot: &str) -> Result<bool, StorageError> {
        let Some(subvolume) = self.subvolume(name)? else {
            return self.of_files().delete_snapshot(name, snapshot).await;
        };
        let deleted = self.delete(&at(&subvolume, snapshot)).await;
        deleted.map_err(|source| self.failed(source))
    }

    async fn attach_snapshot(
        &self,
        name: &str,
        snapshot: &str,
        by: &Attacher,
    ) -> Result<SnapshotSpec, StorageError> {
        let Some(subvolume) = self.image(name)? else {
            return self.of_files().attach_snapshot(name, snapshot, by).await;
        };
        let disk = self.existing(&subvolume, name, snapshot).await?.join(DISK);
        let source = BlockSource::File(disk.display().to_string());
        Ok(SnapshotSpec {
            image: BlockSpec {
                read_only: true,
                ..BlockSpec::new(source, BlockFormat::Raw)
            },
            inside: None,
        })
    }

    async fn detach_snapshot(
        &self,
        name: &str,
        _snapshot: &str,
        by: &Attacher,
    ) -> Result<(), StorageError> {
        self.detach(name, by).await
    }
}

impl Btrfs {
    /// The snapshots of images that are files.
    fn of_files(&self) -> &dyn Snapshots {
        &self.dir
    }

    pub(super) async fn existing(
        &self,
        subvolume: &Path,
        name: &str,
        snapshot: &str,
    ) -> Result<PathBuf, StorageError> {
        let path = at(subvolume, snapshot);
        match self.dir.is_there(&path).await? {
            true => Ok(path),
            false => Err(self.dir.no_volume(&format!("{name}@{snapshot}"))),
        }
    }

    /// When a snapshot was made, by the generation of the file system.
    async fn made_at(&self, path: &Path) -> Result<u64, StorageError> {
        let generation = self.generation(path).await;
        generation.map_err(|source| self.failed(source))
    }
}
