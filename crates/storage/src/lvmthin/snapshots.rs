//! Snapshots: volumes of their own that share the blocks of what they are of, and can only be read.

use std::sync::Arc;

use async_trait::async_trait;
use model::{BlockFormat, BlockSpec};

use super::{LvmThin, Tools, names};
use crate::lvm::Volume;
use crate::{Attacher, SnapshotMaker, SnapshotSpec, Snapshots, StorageError};

#[async_trait]
impl Snapshots for LvmThin {
    fn maker(&self, name: &str) -> Option<SnapshotMaker> {
        self.parse(name).ok().map(|_| SnapshotMaker::Storage)
    }

    /// A raw device refers to nothing.
    async fn check_image(&self, name: &str) -> Result<(), StorageError> {
        self.parse(name).map(drop)
    }

    async fn list_snapshots(&self, name: &str) -> Result<Vec<String>, StorageError> {
        self.parse(name)?;
        self.tools.get(name).await?;
        self.tools.snapshots(name).await
    }

    async fn create_snapshot(&self, name: &str, snapshot: &str) -> Result<(), StorageError> {
        self.parse(name)?;
        let (name, snapshot) = (name.to_owned(), names::snapshot(name, snapshot));
        let create = |tools: Arc<Tools>| async move {
            tools.get(&name).await?;
            tools.check_new(&snapshot).await?;
            let origin = tools.full(&name);
            let args = ["--permission", "r", "--snapshot", &origin];
            tools.create(&snapshot, &args).await
        };
        self.tools.change(create).await
    }

    async fn roll_back(&self, name: &str, snapshot: &str) -> Result<(), StorageError> {
        self.parse(name)?;
        let (name, snapshot) = (name.to_owned(), names::snapshot(name, snapshot));
        let roll_back = |tools: Arc<Tools>| async move { tools.roll_back(&name, &snapshot).await };
        self.tools.change(roll_back).await
    }

    async fn delete_snapshot(&self, name: &str, snapshot: &str) -> Result<bool, StorageError> {
        self.parse(name)?;
        let snapshot = names::snapshot(name, snapshot);
        let delete = |tools: Arc<Tools>| async move {
            tools
                .remove(&snapshot, std::slice::from_ref(&snapshot))
                .await
        };
        self.tools.change(delete).await
    }

    async fn attach_snapshot(
        &self,
        name: &str,
        snapshot: &str,
        by: &Attacher,
    ) -> Result<SnapshotSpec, StorageError> {
        self.parse(name)?;
        let (snapshot, by) = (names::snapshot(name, snapshot), by.clone());
        let attach = |tools: Arc<Tools>| async move { tools.attach(&snapshot, &by).await };
        let image = BlockSpec {
            read_only: true,
            ..BlockSpec::new(self.tools.change(attach).await?, BlockFormat::Raw)
        };
        Ok(SnapshotSpec {
            image,
            inside: None,
        })
    }

    async fn detach_snapshot(
        &self,
        name: &str,
        snapshot: &str,
        by: &Attacher,
    ) -> Result<(), StorageError> {
        self.parse(name)?;
        let (snapshot, by) = (names::snapshot(name, snapshot), by.clone());
        let detach = |tools: Arc<Tools>| async move { tools.detach(&snapshot, &by).await };
        self.tools.change(detach).await
    }
}

impl Tools {
    /// The snapshots of a volume by their own names, oldest first.
    async fn snapshots(&self, name: &str) -> Result<Vec<String>, StorageError> {
        let mut volumes = self.volumes().await?;
        volumes.retain(|volume| volume.is_thin_in(&self.pool));
        volumes.sort_by_key(Volume::created);
        let found = volumes.iter().map(|volume| volume.name.as_str());
        let snapshots = names::snapshots_of(name, found).into_iter();
        Ok(snapshots.map(str::to_owned).collect())
    }

    /// The same by the names of their volumes.
    pub(super) async fn snapshot_volumes(&self, name: &str) -> Result<Vec<String>, StorageError> {
        let snapshots = self.snapshots(name).await?.into_iter();
        Ok(snapshots
            .map(|snapshot| names::snapshot(name, &snapshot))
            .collect())
    }

    /// Snapshots are found by the name of their volume, which therefore keeps it.
    pub(super) async fn check_no_snapshots(&self, name: &str) -> Result<(), StorageError> {
        match self.snapshots(name).await?.first() {
            None => Ok(()),
            Some(first) => {
                let text = format!("volume '{name}' has a snapshot '{first}'");
                Err(StorageError::Refused(text))
            }
        }
    }

    /// Makes what the volume will be first, so that a full pool costs nothing. A second attempt
    /// begins anew: the snapshot stays as it is.
    async fn roll_back(&self, name: &str, snapshot: &str) -> Result<(), StorageError> {
        self.get(snapshot).await?;
        let made = names::roll_back(name);
        self.remove(&made, std::slice::from_ref(&made)).await?;
        self.copy_blocks(snapshot, &made).await?;
        self.remove(name, &[name.to_owned()]).await?;
        self.run(name, "lvrename", &[&self.group.name, &made, name])
            .await
    }
}
