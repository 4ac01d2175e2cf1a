//! Snapshots of a guest's disks: by QEMU while it has them open, by the storage otherwise.

use guest::qemu::VmConfig;
use guest::qemu::block::node_name;
use model::qemu::DriveSlot;
use model::{Error, VmId, VolumeId};
use storage::Storage;

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
        let snapshots = snapshots.filter(|snapshots| snapshots.can_snapshot(volume.name()));
        let snapshots = snapshots.ok_or_else(unavailable)?;
        snapshots.check_image(volume.name()).await?;
    }
    Ok(disks)
}

fn snapshots<'a>(
    storage: &'a dyn Storage,
    volume: &VolumeId,
) -> Result<&'a dyn storage::Snapshots, Error> {
    let none = || Error::conflict(format!("storage of '{volume}' has no snapshots"));
    storage.snapshots().ok_or_else(none)
}

impl NodeContext {
    /// Makes a snapshot of each disk; those of a running guest all at one moment. A failure may
    /// leave some, which `delete_disk_snapshots` removes.
    pub(crate) async fn snapshot_disks(
        &self,
        vmid: VmId,
        disks: &[Disk],
        name: &str,
    ) -> Result<(), Error> {
        if disks.is_empty() {
            return Ok(());
        }
        if self.running.is_running(vmid).await? {
            let nodes: Vec<String> = disks.iter().map(|(slot, _)| node_name(*slot)).collect();
            let qmp = self.running.qmp(vmid).await?;
            return qmp.snapshot_nodes(&nodes, name).await.map_err(qmp_failed);
        }
        for (_, volume) in disks {
            let storage = self.storage(volume.storage()).await?;
            snapshots(&*storage, volume)?
                .create_snapshot(volume.name(), name)
                .await?;
        }
        Ok(())
    }

    /// Deletes a snapshot of each disk that has it. May be repeated.
    pub(crate) async fn delete_disk_snapshots(
        &self,
        vmid: VmId,
        disks: &[Disk],
        name: &str,
    ) -> Result<(), Error> {
        if self.running.is_running(vmid).await? {
            return self.delete_by_qemu(vmid, disks, name).await;
        }
        for (_, volume) in disks {
            self.delete_detached(volume, name).await?;
        }
        Ok(())
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
                self.delete_detached(volume, name).await?;
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

    async fn delete_detached(&self, volume: &VolumeId, name: &str) -> Result<(), Error> {
        let storage = self.storage(volume.storage()).await?;
        if storage.info(volume.name()).await?.is_some() {
            snapshots(&*storage, volume)?
                .delete_snapshot(volume.name(), name)
                .await?;
        }
        Ok(())
    }

    /// Makes each disk what it was. The guest does not run.
    pub(crate) async fn roll_back_disks(&self, disks: &[Disk], name: &str) -> Result<(), Error> {
        for (_, volume) in disks {
            let storage = self.storage(volume.storage()).await?;
            snapshots(&*storage, volume)?
                .roll_back(volume.name(), name)
                .await?;
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
            let found = snapshots(&*storage, volume)?
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
