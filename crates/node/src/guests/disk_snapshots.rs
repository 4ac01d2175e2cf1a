//! Snapshots of a guest's disks, as their storages make them.

use std::sync::Arc;

use model::{Error, GuestConfig, GuestKind, VolumeId};
use storage::{SnapshotMaker, Snapshots, Storage, StorageError};

use super::disks::{Disk, disks_of, has_paths};
use crate::NodeContext;

/// The disks of a configuration, if each of them can have snapshots.
pub(crate) async fn disks(
    node: &NodeContext,
    kind: GuestKind,
    config: &GuestConfig,
) -> Result<Vec<Disk>, Error> {
    let unavailable = || Error::conflict("snapshot feature is not available");
    if has_paths(kind, config)? {
        return Err(unavailable());
    }
    let disks = disks_of(kind, config)?;
    for (_, volume) in &disks {
        let storage = node.storage(volume.storage()).await?;
        let snapshots = storage.snapshots();
        let snapshots = snapshots.filter(|snapshots| snapshots.maker(volume.name()).is_some());
        let snapshots = snapshots.ok_or_else(unavailable)?;
        snapshots.check_image(volume.name()).await?;
    }
    Ok(disks)
}

/// How a storage makes snapshots; a clear word where it has no such thing.
pub(crate) fn snapshots_of<'a>(
    storage: &'a dyn Storage,
    volume: &VolumeId,
) -> Result<&'a dyn Snapshots, Error> {
    let none = || Error::conflict(format!("storage of '{volume}' has no snapshots"));
    storage.snapshots().ok_or_else(none)
}

/// Removes the layer that a disk was rolled back from, while the guest starts. What is left if the agent
/// dies goes with the next change of the image.
fn finish_later(storage: Arc<dyn Storage>, volume: &VolumeId) {
    let volume = volume.clone();
    tokio::spawn(async move {
        let Some(layered) = storage.layered() else {
            return;
        };
        if let Err(error) = layered.finish(volume.name()).await {
            tracing::warn!(%volume, %error, "a layer that is gone is not removed yet");
        }
    });
}

impl NodeContext {
    /// Makes a snapshot of each disk, which is flushed and which nothing writes to meanwhile. A failure
    /// may leave some, which `delete_by_storage` removes.
    pub(crate) async fn snapshot_by_storage(
        &self,
        disks: &[Disk],
        name: &str,
    ) -> Result<(), Error> {
        for (_, volume) in disks {
            let storage = self.storage(volume.storage()).await?;
            snapshots_of(&*storage, volume)?
                .create_snapshot(volume.name(), name)
                .await?;
        }
        Ok(())
    }

    /// Deletes a snapshot of each disk that has it. May be repeated.
    pub(crate) async fn delete_by_storage(&self, disks: &[Disk], name: &str) -> Result<(), Error> {
        for (_, volume) in disks {
            let storage = self.storage(volume.storage()).await?;
            let snapshots = snapshots_of(&*storage, volume)?;
            match snapshots.delete_snapshot(volume.name(), name).await {
                // With its image a snapshot is gone, too.
                Err(StorageError::NoVolume { .. }) => {}
                deleted => drop(deleted?),
            }
        }
        Ok(())
    }

    /// Makes each disk what it was. The guest does not run.
    pub(crate) async fn roll_back_disks(&self, disks: &[Disk], name: &str) -> Result<(), Error> {
        for (_, volume) in disks {
            let storage = self.storage(volume.storage()).await?;
            let snapshots = snapshots_of(&*storage, volume)?;
            snapshots.roll_back(volume.name(), name).await?;
            if snapshots.maker(volume.name()) == Some(SnapshotMaker::Chain) {
                finish_later(storage, volume);
            }
        }
        Ok(())
    }

    /// Refuses a name that a snapshot of one of the disks cannot have.
    pub(crate) async fn check_snapshot_name(
        &self,
        disks: &[Disk],
        name: &str,
    ) -> Result<(), Error> {
        for (_, volume) in disks {
            let storage = self.storage(volume.storage()).await?;
            let snapshots = snapshots_of(&*storage, volume)?;
            if let Some(reason) = snapshots.refuses_name(volume.name(), name) {
                return Err(Error::invalid("snapname", reason));
            }
        }
        Ok(())
    }

    /// Refuses where a disk lacks the snapshot, or its storage would refuse to roll it back.
    pub(crate) async fn check_roll_back(&self, disks: &[Disk], name: &str) -> Result<(), Error> {
        for (_, volume) in disks {
            let storage = self.storage(volume.storage()).await?;
            storage.activate().await?;
            let snapshots = snapshots_of(&*storage, volume)?;
            snapshots.check_roll_back(volume.name(), name).await?;
        }
        Ok(())
    }
}
