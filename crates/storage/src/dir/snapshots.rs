//! Snapshots inside of images, which qcow2 has.

use async_trait::async_trait;
use model::BlockFormat;

use super::Dir;
use crate::{Opened, Snapshots, Storage, StorageError, image};

#[async_trait]
impl Snapshots for Dir {
    async fn check_image(&self, name: &str) -> Result<(), StorageError> {
        let opened = Opened::open(&self.host, &self.block(name, true)?, false).await;
        opened.map(drop).map_err(|source| self.failed(source))
    }

    fn can_snapshot(&self, name: &str) -> bool {
        let format = self.locate_image(name).map(|(_, _, format)| format);
        format.is_ok_and(|format| format == BlockFormat::Qcow2)
    }

    async fn list_snapshots(&self, name: &str) -> Result<Vec<String>, StorageError> {
        image::snapshots(&self.host, &self.block(name, true)?)
            .await
            .map_err(|source| self.failed(source))
    }

    async fn create_snapshot(&self, name: &str, snapshot: &str) -> Result<(), StorageError> {
        if self.has_snapshot(name, snapshot).await? {
            let storage = self.config.id.clone();
            let name = format!("{name}@{snapshot}");
            return Err(StorageError::Exists { storage, name });
        }
        self.snapshot(name, image::SnapshotAction::Create, snapshot)
            .await
    }

    async fn roll_back(&self, name: &str, snapshot: &str) -> Result<(), StorageError> {
        self.snapshot(name, image::SnapshotAction::Apply, snapshot)
            .await
    }

    async fn delete_snapshot(&self, name: &str, snapshot: &str) -> Result<bool, StorageError> {
        if !self.has_snapshot(name, snapshot).await? {
            return Ok(false);
        }
        self.snapshot(name, image::SnapshotAction::Delete, snapshot)
            .await?;
        Ok(true)
    }
}

impl Dir {
    async fn has_snapshot(&self, name: &str, snapshot: &str) -> Result<bool, StorageError> {
        let snapshots = self.list_snapshots(name).await?;
        Ok(snapshots.iter().any(|known| known == snapshot))
    }

    async fn snapshot(
        &self,
        name: &str,
        action: image::SnapshotAction,
        snapshot: &str,
    ) -> Result<(), StorageError> {
        image::snapshot(&self.host, &self.block(name, false)?, action, snapshot)
            .await
            .map_err(|source| self.failed(source))
    }
}
