//! Snapshots of the disks of a virtual machine that runs: QEMU makes those inside of the images that
//! it has open, the storage the others.

use guest::qemu::block::node_name;
use guest::qemu::{Qmp, VmConfig};
use model::qemu::DriveSlot;
use model::{Error, VmId};
use storage::SnapshotMaker;

use crate::NodeContext;
use crate::guests::disk_snapshots::snapshots_of;
use crate::guests::disks::Disk;
use crate::qemu::drives;
use crate::tasks::qmp_failed;

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
        if !self.running.is_running(vmid).await? {
            return self.delete_by_storage(disks, name).await;
        }
        let (by_qemu, by_storage) = self.by_maker(disks).await?;
        self.delete_by_storage(&by_storage, name).await?;
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
        for disk in disks {
            // The disk may have another place than it had then, or none.
            let place = attached.iter().find(|(_, other)| *other == disk.1);
            let Some((slot, _)) = place else {
                let disk = std::slice::from_ref(disk);
                self.delete_by_storage(disk, name).await?;
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
}

async fn snapshot_by_qemu(qmp: &Qmp, disks: &[Disk], name: &str) -> Result<(), Error> {
    if disks.is_empty() {
        return Ok(());
    }
    let mut nodes = Vec::new();
    for (option, _) in disks {
        let slot: DriveSlot = option
            .parse()
            .map_err(|_| Error::bug(format!("'{option}' is no drive")))?;
        nodes.push(node_name(slot));
    }
    qmp.snapshot_nodes(&nodes, name).await.map_err(qmp_failed)
}
