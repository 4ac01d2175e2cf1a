//! Snapshots of images; any of them can be rolled back to.

use async_trait::async_trait;
use model::{BlockFormat, BlockSpec};

use super::Rbd;
use super::tools::or_none;
use crate::{Attacher, SnapshotMaker, SnapshotSpec, Snapshots, StorageError};

#[async_trait]
impl Snapshots for Rbd {
    fn maker(&self, name: &str) -> Option<SnapshotMaker> {
        self.parse(name).ok().map(|_| SnapshotMaker::Storage)
    }

    /// A raw image refers to nothing.
    async fn check_image(&self, name: &str) -> Result<(), StorageError> {
        self.parse(name).map(drop)
    }

    async fn list_snapshots(&self, name: &str) -> Result<Vec<String>, StorageError> {
        let all = self.tools.snapshots(&self.image(name)?).await?;
        let names = all.into_iter().map(|snapshot| snapshot.name);
        // Ours and those of replication have names that no user gives.
        Ok(names.filter(|name| !name.starts_with("__")).collect())
    }

    async fn create_snapshot(&self, name: &str, snapshot: &str) -> Result<(), StorageError> {
        let image = self.image(name)?;
        let full = self.full(&image, snapshot);
        let args = ["snap", "create", "--no-progress", &full];
        self.tools.change(&image, &args).await
    }

    async fn check_roll_back(&self, name: &str, snapshot: &str) -> Result<(), StorageError> {
        let all = self.tools.snapshots(&self.image(name)?).await?;
        match all.iter().any(|known| known.name == snapshot) {
            true => Ok(()),
            false => Err(self.no_snapshot(name, snapshot)),
        }
    }

    async fn roll_back(&self, name: &str, snapshot: &str) -> Result<(), StorageError> {
        let image = self.image(name)?;
        let full = self.full(&image, snapshot);
        let args = ["snap", "rollback", "--no-progress", &full];
        self.tools.change(&image, &args).await
    }

    async fn delete_snapshot(&self, name: &str, snapshot: &str) -> Result<bool, StorageError> {
        self.remove_snapshot(&self.image(name)?, snapshot).await
    }

    async fn attach_snapshot(
        &self,
        name: &str,
        snapshot: &str,
        _by: &Attacher,
    ) -> Result<SnapshotSpec, StorageError> {
        let image = self.image(name)?;
        let found = self.tools.find(&format!("{image}@{snapshot}")).await?;
        let size = found.ok_or_else(|| self.no_snapshot(name, snapshot))?.size;
        let source = self.source(&image, Some(snapshot), size);
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
        _by: &Attacher,
    ) -> Result<(), StorageError> {
        self.parse(name).map(drop)
    }
}

impl Rbd {
    fn full(&self, image: &str, snapshot: &str) -> String {
        format!("{}@{snapshot}", self.tools.place.of(image))
    }

    fn no_snapshot(&self, name: &str, snapshot: &str) -> StorageError {
        StorageError::no_snapshot(&self.tools.storage, name, snapshot)
    }

    /// Removes a snapshot, protected or not. False where there was none. One that clones need stays.
    pub(super) async fn remove_snapshot(
        &self,
        image: &str,
        snapshot: &str,
    ) -> Result<bool, StorageError> {
        let full = self.full(image, snapshot);
        let args = ["snap", "rm", "--no-progress", &full];
        let removed = match self.tools.change(image, &args).await {
            // It is protected.
            Err(StorageError::InUse { .. }) => {
                self.unprotect(image, snapshot).await?;
                self.tools.change(image, &args).await
            }
            removed => removed,
        };
        Ok(or_none(removed)?.is_some())
    }

    pub(super) async fn unprotect(&self, image: &str, snapshot: &str) -> Result<(), StorageError> {
        let full = self.full(image, snapshot);
        match self
            .tools
            .change(image, &["snap", "unprotect", &full])
            .await
        {
            Err(StorageError::InUse { storage, .. }) => {
                let text =
                    format!("base volume '{storage}:{image}' is still in use by linked clones");
                Err(StorageError::Refused(text))
            }
            unprotected => or_none(unprotected).map(drop),
        }
    }
}
