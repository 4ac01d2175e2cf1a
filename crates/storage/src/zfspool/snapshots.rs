//! Snapshots of datasets. Only the newest can be rolled back to: ZFS would destroy later ones.

use async_trait::async_trait;
use model::{BlockFormat, BlockSource, BlockSpec};

use super::ZfsPool;
use super::names::is_shown;
use crate::{Attacher, SnapshotMaker, SnapshotSpec, Snapshots, StorageError};

#[async_trait]
impl Snapshots for ZfsPool {
    fn maker(&self, name: &str) -> Option<SnapshotMaker> {
        self.dataset(name).ok().map(|_| SnapshotMaker::Storage)
    }

    /// A raw device refers to nothing.
    async fn check_image(&self, name: &str) -> Result<(), StorageError> {
        self.dataset(name).map(drop)
    }

    async fn list_snapshots(&self, name: &str) -> Result<Vec<String>, StorageError> {
        let mut snapshots = self.tools.snapshots(&self.dataset(name)?).await?;
        snapshots.retain(|snapshot| is_shown(snapshot));
        Ok(snapshots)
    }

    async fn create_snapshot(&self, name: &str, snapshot: &str) -> Result<(), StorageError> {
        let full = self.snapshot(name, snapshot)?;
        self.tools.change(&["snapshot", &full]).await
    }

    async fn check_roll_back(&self, name: &str, snapshot: &str) -> Result<(), StorageError> {
        let all = self.tools.snapshots(&self.dataset(name)?).await?;
        match all.last() {
            Some(last) if last == snapshot => Ok(()),
            _ if !all.iter().any(|known| known == snapshot) => {
                Err(self.no_snapshot(name, snapshot))
            }
            _ => Err(self.not_newest(name, snapshot)),
        }
    }

    /// ZFS itself refuses it where there are later ones.
    async fn roll_back(&self, name: &str, snapshot: &str) -> Result<(), StorageError> {
        let full = self.snapshot(name, snapshot)?;
        match self.tools.change(&["rollback", &full]).await {
            Err(StorageError::NoVolume { .. }) => Err(self.no_snapshot(name, snapshot)),
            Err(error) if has_later(&error) => Err(self.not_newest(name, snapshot)),
            rolled => rolled,
        }
    }

    async fn delete_snapshot(&self, name: &str, snapshot: &str) -> Result<bool, StorageError> {
        let image = self.dataset(name)?;
        self.tools
            .destroy_snapshot(&format!("{image}@{snapshot}"))
            .await
    }

    async fn attach_snapshot(
        &self,
        name: &str,
        snapshot: &str,
        by: &Attacher,
    ) -> Result<SnapshotSpec, StorageError> {
        let image = self.image(name)?;
        let there = self.tools.check_there(&format!("{image}@{snapshot}")).await;
        if let Err(StorageError::NoVolume { .. }) = there {
            return Err(self.no_snapshot(name, snapshot));
        }
        there?;
        self.readers.add(&image, by);
        let full = self.tools.full(&image);
        self.tools
            .change(&["set", "snapdev=visible", &full])
            .await?;
        let device = self.tools.device(&format!("{image}@{snapshot}")).await?;
        let source = BlockSource::Device(device.display().to_string());
        Ok(SnapshotSpec {
            image: BlockSpec {
                read_only: true,
                ..BlockSpec::new(source, BlockFormat::Raw)
            },
            inside: None,
        })
    }

    /// After the last reader its snapshots have no devices any more.
    async fn detach_snapshot(
        &self,
        name: &str,
        _snapshot: &str,
        by: &Attacher,
    ) -> Result<(), StorageError> {
        let image = self.image(name)?;
        if !self.readers.remove(&image, by) {
            return Ok(());
        }
        match self
            .tools
            .change(&["inherit", "snapdev", &self.tools.full(&image)])
            .await
        {
            Err(StorageError::NoVolume { .. }) => Ok(()),
            hidden => hidden,
        }
    }
}

/// What ZFS says of a roll-back to a snapshot that is not the newest.
fn has_later(error: &StorageError) -> bool {
    match error {
        StorageError::Host { source, .. } => source.to_string().contains("more recent snapshots"),
        _ => false,
    }
}

impl ZfsPool {
    pub(super) fn no_snapshot(&self, name: &str, snapshot: &str) -> StorageError {
        StorageError::no_snapshot(self.config.id(), name, snapshot)
    }

    fn not_newest(&self, name: &str, snapshot: &str) -> StorageError {
        StorageError::not_newest(self.config.id(), name, snapshot)
    }

    /// The snapshot's name in full.
    fn snapshot(&self, name: &str, snapshot: &str) -> Result<String, StorageError> {
        Ok(format!(
            "{}@{snapshot}",
            self.tools.full(&self.dataset(name)?)
        ))
    }
}
