//! Snapshots of a guest's disks: by QEMU inside of the images that it has open, by the storage
//! otherwise.

use guest::qemu::block::node_name;
use guest::qemu::{Qmp, VmConfig};
use model::qemu::DriveSlot;
use model::{Error, VmId, VolumeId};
use storage::{SnapshotMaker, Snapshots, Storage};

use crate::NodeContext;
use crate::qemu::drives;
use crate::tasks::qmp_failed;

/// A disk that takes part in snapshots.
pub(crate) type Disk = (DriveSlot, VolumeId);

/// The disks of a configuration, if each of them can have snapshots.
pub(crate) async fn disks(node: &NodeContext, config: &VmConfig) -> Result<Vec<Disk>, Error> {
    let unavailable = || Error::conflict("snapshot feature is not available");
    if config.path_disk().is_some() {
        return Err(unavailable());
    }
    let disks = drives::disks_of(config);
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

impl NodeContext {
    /// Whether a snapshot of these disks needs the guest to stand still, though it executes: one
    /// that a storage makes shows what was flushed until then.
    pub(crate) async fn needs_pause(&self, vmid: VmId, disks: &[Disk]) -> Result<bool, Error> {
        let (_, by_storage) = self.by_maker(disks).await?;
        if by_storage.is_empty() || !self.running.is_running(vmid).await? {
            return Ok(false);
        }
        let status = self.running.qmp(vmid).await?.status().await;
        Ok(status.map_err(qmp_failed)?.state == "running")
    }

    /// Makes a snapshot of each disk; those of a running guest all at one moment, for which a guest
    /// that `needs_pause` is paused. A failure may leave some, which `delete_disk_snapshots`
    /// removes, and a death may leave the guest paused.
    pub(crate) async fn snapshot_disks(
        &self,
        vmid: VmId,
        disks: &[Disk],
        name: &str,
        pause: bool,
    ) -> Result<(), Error> {
        if !self.running.is_running(vmid).await? {
            return self.snapshot_by_storage(disks, name).await;
        }
        let (by_qemu, by_storage) = self.by_maker(disks).await?;
        let qmp = self.running.qmp(vmid).await?;
        if pause {
            // It flushes the disks, too.
            qmp.pause().await.map_err(qmp_failed)?;
        }
        let made = async {
            snapshot_by_qemu(&qmp, &by_qemu, name).await?;
            self.snapshot_by_storage(&by_storage, name).await
        };
        let made = made.await;
        if pause {
            qmp.cont().await.map_err(qmp_failed)?;
        }
        made
    }

    async fn snapshot_by_storage(&self, disks: &[Disk], name: &str) -> Result<(), Error> {
        for (_, volume) in disks {
            let storage = self.storage(volume.storage()).await?;
            snapshots_of(&*storage, volume)?
                .create_snapshot(volume.name(), name)
                .await?;
        }
        Ok(())
    }

    /// The disks whose snapshots QEMU makes, and those whose storage does.
    async fn by_maker(&self, disks: &[Disk]) -> Result<(Vec<Disk>, Vec<Disk>), Error> {
        let (mut by_qemu, mut by_storage) = (Vec::new(), Vec::new());
        for disk in disks {
            let storage = self.storage(disk.1.storage()).await?;
            let maker = snapshots_of(&*storage, &disk.1)?.maker(disk.1.name());
            match maker {
                Some(SnapshotMaker::Storage) => by_storage.push(disk.clone()),
                Some(SnapshotMaker::Qemu) | None => by_qemu.push(disk.clone()),
            }
        }
        Ok((by_qemu, by_storage))
    }

    /// Deletes a snapshot of each disk that has it. May be repeated.
    pub(crate) async fn delete_disk_snapshots(
        &self,
        vmid: VmId,
        disks: &[Disk],
        name: &str,
    ) -> Result<(), Error> {
        let (by_qemu, by_storage) = match self.running.is_running(vmid).await? {
            true => self.by_maker(disks).await?,
            false => (Vec::new(), disks.to_vec()),
        };
        for (_, volume) in &by_storage {
            self.delete_by_storage(volume, name).await?;
        }
        match by_qemu.is_empty() {
            true => Ok(()),
            false => self.delete_by_qemu(vmid, &by_qemu, name).await,
        }
    }

    async fn delete_by_qemu(&self, vmid: VmId, disks: &[Disk], name: &str) -> Result<(), Error> {
        let qmp = self.running.qmp(vmid).await?;
        let found = qmp.node_snapshots().await.map_err(qmp_failed)?;
        let config = self.records.qemu(vmid).await?.record.data.config;
        let config = VmConfig::parse(&config).map_err(Error::invalid_fields)?;
        let attached = drives::disks_of(&config);
        for (_, volume) in disks {
            // The disk may have another place than it had then, or none.
            let place = attached.iter().find(|(_, other)| other == volume);
            let Some((slot, _)) = place else {
                self.delete_by_storage(volume, name).await?;
                continue;
            };
            let node = node_name(*slot);
            let has_it = |(other, names): &(String, Vec<String>)| {
                *other == node && names.iter().any(|known| known == name)
            };
            if found.iter().any(has_it) {
                qmp.delete_snapshot(&node, name).await.map_err(qmp_failed)?;
            }
        }
        Ok(())
    }

    async fn delete_by_storage(&self, volume: &VolumeId, name: &str) -> Result<(), Error> {
        let storage = self.storage(volume.storage()).await?;
        if storage.stat(volume.name()).await?.is_some() {
            snapshots_of(&*storage, volume)?
                .delete_snapshot(volume.name(), name)
                .await?;
        }
        Ok(())
    }

    /// Makes each disk what it was. The guest does not run.
    pub(crate) async fn roll_back_disks(&self, disks: &[Disk], name: &str) -> Result<(), Error> {
        for (_, volume) in disks {
            let storage = self.storage(volume.storage()).await?;
            snapshots_of(&*storage, volume)?
                .roll_back(volume.name(), name)
                .await?;
        }
        Ok(())
    }

    /// Refuses where a storage would refuse to roll a disk back.
    pub(crate) async fn check_roll_back(&self, disks: &[Disk], name: &str) -> Result<(), Error> {
        self.check_disk_snapshots(disks, name).await?;
        for (_, volume) in disks {
            let storage = self.storage(volume.storage()).await?;
            let snapshots = snapshots_of(&*storage, volume)?;
            snapshots.check_roll_back(volume.name(), name).await?;
        }
        Ok(())
    }

    /// Refuses where a disk lacks the snapshot.
    pub(crate) async fn check_disk_snapshots(
        &self,
        disks: &[Disk],
        name: &str,
    ) -> Result<(), Error> {
        for (_, volume) in disks {
            let storage = self.storage(volume.storage()).await?;
            storage.activate().await?;
            let found = snapshots_of(&*storage, volume)?
                .list_snapshots(volume.name())
                .await?;
            if !found.iter().any(|known| known == name) {
                let text = format!("volume '{volume}' has no snapshot '{name}'");
                return Err(Error::conflict(text));
            }
        }
        Ok(())
    }
}

async fn snapshot_by_qemu(qmp: &Qmp, disks: &[Disk], name: &str) -> Result<(), Error> {
    if disks.is_empty() {
        return Ok(());
    }
    let nodes: Vec<String> = disks.iter().map(|(slot, _)| node_name(*slot)).collect();
    qmp.snapshot_nodes(&nodes, name).await.map_err(qmp_failed)
}
