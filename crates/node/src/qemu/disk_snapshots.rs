//! Snapshots of the disks of a virtual machine that runs: QEMU makes those inside of the images that
//! it has open, and moves to the layers that are new ones (`chains`); the storage makes the others.

use guest::qemu::block::node_name;
use guest::qemu::{NewLayer, Qmp, VmConfig};
use model::qemu::DriveSlot;
use model::{Error, ErrorKind, VmId};
use storage::SnapshotMaker;
use tasks::TaskContext;

use crate::NodeContext;
use crate::guests::disk_snapshots::snapshots_of;
use crate::guests::disks::Disk;
pub(crate) use crate::qemu::chains::Change;
use crate::qemu::{chains, drives};
use crate::tasks::qmp_failed;

type Cx = TaskContext<NodeContext>;

/// Disks, by what makes their snapshots while a guest has them open.
#[derive(Default)]
struct ByMaker {
    qemu: Vec<Disk>,
    chain: Vec<Disk>,
    storage: Vec<Disk>,
}

impl NodeContext {
    /// Whether a snapshot of these disks needs the guest to stand still for a moment, though it
    /// executes: one that a storage makes shows what was flushed until then, and to take back a layer
    /// QEMU has to leave the one that the guest writes to.
    pub(crate) async fn may_pause(&self, vmid: VmId, disks: &[Disk]) -> Result<bool, Error> {
        let by = self.by_maker(&self.reachable(disks).await?).await?;
        let is_needed = !by.storage.is_empty() || !by.chain.is_empty();
        if !is_needed || !self.running.is_running(vmid).await? {
            return Ok(false);
        }
        let status = self.running.qmp(vmid).await?.status().await;
        Ok(status.map_err(qmp_failed)?.state == "running")
    }

    /// Those disks whose storages are still configured.
    async fn reachable(&self, disks: &[Disk]) -> Result<Vec<Disk>, Error> {
        let mut found = Vec::new();
        for disk in disks {
            match self.storage(disk.1.storage()).await {
                Err(error) if error.kind == ErrorKind::NotFound => {}
                storage => {
                    storage?;
                    found.push(disk.clone());
                }
            }
        }
        Ok(found)
    }

    /// The disks by what makes their snapshots.
    async fn by_maker(&self, disks: &[Disk]) -> Result<ByMaker, Error> {
        let mut by = ByMaker::default();
        for disk in disks {
            let storage = self.storage(disk.1.storage()).await?;
            let maker = snapshots_of(&*storage, &disk.1)?.maker(disk.1.name());
            match maker {
                Some(SnapshotMaker::Storage) => by.storage.push(disk.clone()),
                Some(SnapshotMaker::Chain) => by.chain.push(disk.clone()),
                Some(SnapshotMaker::Qemu) | None => by.qemu.push(disk.clone()),
            }
        }
        Ok(by)
    }

    async fn delete_by_qemu(&self, vmid: VmId, disks: &[Disk], name: &str) -> Result<(), Error> {
        if disks.is_empty() {
            return Ok(());
        }
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

/// Makes a snapshot of each disk; those of a running guest all at one moment, for which a guest that
/// `may_pause` is paused where a storage makes them. A failure may leave some, which
/// `delete_disk_snapshots` removes, and a death may leave the guest paused.
pub(crate) async fn snapshot_disks(
    cx: &Cx,
    vmid: VmId,
    disks: &[Disk],
    name: &str,
    pause: bool,
) -> Result<(), Error> {
    let node = &cx.node;
    if !node.running.is_running(vmid).await? {
        return node.snapshot_by_storage(disks, name).await;
    }
    let by = node.by_maker(disks).await?;
    let pause = pause && !by.storage.is_empty();
    let qmp = node.running.qmp(vmid).await?;
    let (layered, closed) = chains::open_ones(cx, vmid, &qmp, &by.chain).await?;
    node.snapshot_by_storage(&closed, name).await?;
    let layers = chains::make_layers(cx, vmid, &qmp, &layered, name).await?;
    if pause {
        // It flushes the disks, too.
        qmp.pause().await.map_err(qmp_failed)?;
    }
    let made = async {
        snapshot_by_qemu(&qmp, &by.qemu, name, &layers).await?;
        node.snapshot_by_storage(&by.storage, name).await
    };
    let made = made.await;
    if pause {
        qmp.cont().await.map_err(qmp_failed)?;
    }
    made
}

/// Deletes a snapshot of each disk that has it. May be repeated.
pub(crate) async fn delete_disk_snapshots(
    cx: &Cx,
    vmid: VmId,
    disks: &[Disk],
    (name, change): (&str, Change),
) -> Result<(), Error> {
    let node = &cx.node;
    if !node.running.is_running(vmid).await? {
        return node.delete_by_storage(disks, name).await;
    }
    let by = node.by_maker(disks).await?;
    node.delete_by_storage(&by.storage, name).await?;
    node.delete_by_qemu(vmid, &by.qemu, name).await?;
    let qmp = node.running.qmp(vmid).await?;
    let (layered, closed) = chains::open_ones(cx, vmid, &qmp, &by.chain).await?;
    node.delete_by_storage(&closed, name).await?;
    chains::remove(cx, vmid, &qmp, &layered, (name, change)).await
}

/// Ends what was begun at the disks of a guest, and lets it execute again if it may have been left
/// paused: once the names of its disks' layers are those of what it writes to. Storages that are gone are
/// passed over.
pub(crate) async fn leave_disks(
    cx: &Cx,
    vmid: VmId,
    disks: &[Disk],
    (name, change): (&str, Change),
    may_be_paused: bool,
) -> Result<(), Error> {
    let node = &cx.node;
    if !node.running.is_running(vmid).await? {
        return Ok(());
    }
    let by = node.by_maker(&node.reachable(disks).await?).await?;
    let qmp = node.running.qmp(vmid).await?;
    let (layered, _) = chains::open_ones(cx, vmid, &qmp, &by.chain).await?;
    for disk in &layered {
        chains::settle(cx, vmid, &qmp, disk, (name, change)).await?;
    }
    match qmp.status().await.map_err(qmp_failed)?.state.as_str() {
        "paused" if may_be_paused => qmp.cont().await.map_err(qmp_failed),
        _ => Ok(()),
    }
}

/// Those that QEMU makes inside of images and the layers above images, all at one moment.
async fn snapshot_by_qemu(
    qmp: &Qmp,
    disks: &[Disk],
    name: &str,
    layers: &[NewLayer],
) -> Result<(), Error> {
    if disks.is_empty() && layers.is_empty() {
        return Ok(());
    }
    let mut nodes = Vec::new();
    for (option, _) in disks {
        let slot: DriveSlot = option
            .parse()
            .map_err(|_| Error::bug(format!("'{option}' is no drive")))?;
        nodes.push(node_name(slot));
    }
    let made = qmp.snapshot_nodes(&nodes, name, layers).await;
    made.map_err(qmp_failed)
}
