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
        let volumes = self.tools.layout().await?;
        self.tools.check_among(&volumes, name)?;
        Ok(self.tools.snapshots_among(&volumes, name))
    }

    async fn create_snapshot(&self, name: &str, snapshot: &str) -> Result<(), StorageError> {
        self.parse(name)?;
        let (name, snapshot) = (name.to_owned(), names::snapshot(name, snapshot));
        let create = |tools: Arc<Tools>| async move {
            tools.check_there(&name).await?;
            let origin = tools.full(&name);
            let args = ["--permission", "r", "--snapshot", &origin];
            let made = tools.create(&snapshot, &args).await;
            made.map_err(|error| tools.named(error, &name))
        };
        self.tools.change(create).await
    }

    async fn check_roll_back(&self, name: &str, snapshot: &str) -> Result<(), StorageError> {
        match self
            .list_snapshots(name)
            .await?
            .iter()
            .any(|known| known == snapshot)
        {
            true => Ok(()),
            false => Err(StorageError::no_snapshot(self.config.id(), name, snapshot)),
        }
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
        let delete = |tools: Arc<Tools>| async move { tools.remove(&snapshot).await };
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
    /// The snapshots of a volume among all volumes, by their own names, oldest first.
    pub(super) fn snapshots_among(&self, volumes: &[Volume], name: &str) -> Vec<String> {
        let mut ours: Vec<&Volume> = volumes.iter().filter(|volume| self.has(volume)).collect();
        ours.sort_by_key(|volume| volume.created());
        let found = ours.iter().map(|volume| volume.name.as_str());
        let snapshots = names::snapshots_of(name, found).into_iter();
        snapshots.map(str::to_owned).collect()
    }

    /// Snapshots are found by the name of their volume, which therefore keeps it.
    pub(super) fn check_no_snapshots_among(
        &self,
        volumes: &[Volume],
        name: &str,
    ) -> Result<(), StorageError> {
        match self.snapshots_among(volumes, name).first() {
            None => Ok(()),
            Some(first) => {
                let text = format!("volume '{name}' has a snapshot '{first}'");
                Err(StorageError::Refused(text))
            }
        }
    }

    /// What LVM says of a new volume's origin is the origin's error.
    fn named(&self, error: StorageError, origin: &str) -> StorageError {
        match error {
            StorageError::NoVolume { .. } => self.no_volume(origin),
            error => error,
        }
    }

    /// Makes what the volume will be first, so that a full pool costs nothing. A second attempt
    /// begins anew: the snapshot stays as it is.
    async fn roll_back(&self, name: &str, snapshot: &str) -> Result<(), StorageError> {
        self.check_there(snapshot).await?;
        let made = names::roll_back(name);
        match self.copy_blocks(snapshot, &made).await {
            Err(StorageError::Exists { .. }) => {
                self.remove(&made).await?;
                self.copy_blocks(snapshot, &made).await?;
            }
            copied => copied.map_err(|error| self.named(error, snapshot))?,
        }
        self.remove(name).await?;
        let args = [self.group.name.as_str(), &made, name];
        self.run(name, "lvrename", &args).await?;
        self.seen().names.insert(name.to_owned());
        Ok(())
    }
}
