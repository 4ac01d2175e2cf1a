//! Disks whose snapshots are layers, while a guest has them open: QEMU is moved to the layers that
//! the storage makes, and merges those of snapshots that go.
//!
//! ```text
//!   names (storage)                          nodes (QEMU)
//!   vm-100-disk-0 ─► snap-one                drive-scsi0 ─► fmt-scsi0          as it starts
//!   vm-100-disk-0 ─► snap-two ─► snap-one    drive-scsi0 ─► fmt-scsi0.s1 ─► fmt-scsi0
//! ```
//!
//! QEMU has descriptors, so names change under it. Of names and nodes, the names change first when a
//! snapshot is made, and last when one goes:
//!
//! ```text
//!   made           names 1 2 3 │ nodes   2 3    ─► the transaction ─►  nodes 1 2 3
//!   taken back,    names 1 2   │ nodes 1 2      ─► the job         ─►  nodes   2     ─► names 2
//!   or the lowest
//!   another one    names 1 2 3 │ nodes 1 2 3    ─► the job, with the header of 1  ─►  1 3
//! ```
//!
//! Where it was broken off, QEMU can have one layer less than there are names. If it writes to what has
//! the snapshot's name, that file gets the name of the layer above it.
//!
//! A job ends in two steps: when it has all, the guest is paused, which also writes out everything; then
//! QEMU changes its chain and a header, and the files get their names before the guest goes on. What it
//! would write in between, or what was only in QEMU's memory, would be lost with the power.

use std::sync::Arc;

use guest::qemu::block::{descriptor_set, file_of, image_nodes, node_name, overlay};
use guest::qemu::{Events, Job, JobState, LayerMerge, NewLayer, Qmp, QmpError, VmConfig};
use model::qemu::{Drive, DriveSlot};
use model::{BlockSpec, Error, VmId, VolumeId};
use storage::{FoundLayer, Layer, Layered, Merge, Storage};
use tasks::TaskContext;

use super::live_copy::{LOOK, end_job, until_job};
use crate::NodeContext;
use crate::guests::disk_snapshots::snapshots_of;
use crate::guests::disks::Disk;
use crate::qemu::drives;
use crate::tasks::qmp_failed;

type Cx = TaskContext<NodeContext>;

/// What the log shows of a merge.
const LAYERS: (&str, Option<u64>) = ("layers", None);

/// A disk of a running guest.
pub(super) struct LayeredDisk {
    slot: DriveSlot,
    volume: VolumeId,
    storage: Arc<dyn Storage>,
    /// For the guest: QEMU cannot merge its layers.
    is_read_only: bool,
}

impl LayeredDisk {
    fn layers(&self) -> Result<&dyn Layered, Error> {
        let none = || Error::conflict(format!("storage of '{}' has no layers", self.volume));
        self.storage.layered().ok_or_else(none)
    }

    fn name(&self) -> &str {
        self.volume.name()
    }

    fn node(&self) -> String {
        node_name(self.slot)
    }
}

/// What a snapshot goes through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// It is being made, or taken back.
    Making,
    Deleting,
}

/// What the storage has of a disk, and what QEMU has open.
struct Chain {
    /// Of the image itself, by name.
    names: Vec<FoundLayer>,
    /// All nodes, also of what it is a linked clone of.
    nodes: Vec<String>,
    is_behind: bool,
}

impl Chain {
    fn place_of(&self, snapshot: &str) -> Option<usize> {
        let named = Layer::Snapshot(snapshot.to_owned());
        self.names.iter().position(|found| found.layer == named)
    }
}

/// The disks of a guest that a QEMU has open, and those that it has not.
pub(super) async fn open_ones(
    cx: &Cx,
    vmid: VmId,
    qmp: &Qmp,
    disks: &[Disk],
) -> Result<(Vec<LayeredDisk>, Vec<Disk>), Error> {
    if disks.is_empty() {
        return Ok((Vec::new(), Vec::new()));
    }
    let config = cx.node.records.qemu(vmid).await?.record.data.config;
    let config = VmConfig::parse(&config).map_err(Error::invalid_fields)?;
    let attached = drives::disks_of(&config);
    let nodes = qmp.block_nodes().await.map_err(qmp_failed)?;
    let (mut open, mut closed) = (Vec::new(), Vec::new());
    for disk in disks {
        // It may have another place than it had then, or none.
        let place = attached.iter().find(|(_, volume)| *volume == disk.1);
        match place.filter(|(slot, _)| nodes.contains(&node_name(*slot))) {
            Some((slot, volume)) => {
                let drive = config.drives.get(slot);
                open.push(LayeredDisk {
                    slot: *slot,
                    volume: volume.clone(),
                    storage: cx.node.storage(volume.storage()).await?,
                    is_read_only: drive.is_some_and(Drive::is_read_only),
                });
            }
            None => closed.push(disk.clone()),
        }
    }
    Ok((open, closed))
}

/// Has the storage make a layer for each disk, and opens it. The transaction that puts them above the
/// images is the caller's.
pub(super) async fn make_layers(
    cx: &Cx,
    vmid: VmId,
    qmp: &Qmp,
    disks: &[LayeredDisk],
    snapshot: &str,
) -> Result<Vec<NewLayer>, Error> {
    let mut made = Vec::new();
    for disk in disks {
        // What is made must be possible to be taken back.
        check_mergeable(qmp, disk).await?;
        let chain = look(cx, vmid, qmp, disk).await?;
        if chain.is_behind {
            return Err(unsettled(disk));
        }
        snapshots_of(&*disk.storage, &disk.volume)?
            .create_snapshot(disk.name(), snapshot)
            .await?;
        let image = chain.nodes.into_iter().next();
        let image = image.ok_or_else(|| Error::bug("a drive has no image"))?;
        let layer = open_layer(cx, vmid, qmp, disk).await?;
        made.push(NewLayer { image, layer });
    }
    Ok(made)
}

/// Opens what has the disk's name now. QEMU itself puts what it has below it.
async fn open_layer(cx: &Cx, vmid: VmId, qmp: &Qmp, disk: &LayeredDisk) -> Result<String, Error> {
    let spec = cx.node.attach_to_running(vmid, &disk.volume).await?;
    let spec = BlockSpec {
        backing: None,
        ..spec
    };
    let config = cx.node.records.qemu(vmid).await?.record.data.config;
    let config = VmConfig::parse(&config).map_err(Error::invalid_fields)?;
    let options = drives::options_of_image(&config, disk.slot, &spec)?;
    let label = drives::label(disk.slot, &disk.volume);
    let spec = drives::pass(&cx.node.host, qmp, &label, &spec, &options).await?;
    let existing = qmp.block_nodes().await.map_err(qmp_failed)?;
    let (name, nodes) = overlay(disk.slot, &existing, &spec, &options);
    for node in nodes {
        qmp.add_block_node(node).await.map_err(qmp_failed)?;
    }
    Ok(name)
}

fn unsettled(disk: &LayeredDisk) -> Error {
    let volume = &disk.volume;
    let text = format!(
        "a change of the layers of '{volume}' was broken off: delete the snapshot that is shown as \
         incomplete, or stop the guest first"
    );
    Error::conflict(text)
}

/// Ends what an agent that died has begun: its job, and the names of files where QEMU has moved already,
/// or not yet. May be repeated.
pub(super) async fn settle(
    cx: &Cx,
    vmid: VmId,
    qmp: &Qmp,
    disk: &LayeredDisk,
    (snapshot, change): (&str, Change),
) -> Result<(), Error> {
    end_job(cx, qmp, &job_of(cx, disk)).await?;
    disk.layers()?.restore(disk.name(), snapshot).await?;
    let chain = look(cx, vmid, qmp, disk).await?;
    if !chain.is_behind {
        return Ok(());
    }
    let Some(at) = chain.place_of(snapshot) else {
        return Err(unsettled(disk));
    };
    let is_lowest = at + 1 == chain.names.len();
    if change == Change::Deleting && !is_lowest {
        // The header of the layer above could not be written. It names what is there, and what QEMU
        // has of it is more: nothing is lost. The next start opens what the header says.
        return Ok(());
    }
    let guest = cx.node.records.guest(vmid).await?.record.data;
    let is_other = |name: &String| name != snapshot && chain.place_of(name).is_some();
    let mut changing = guest
        .snapshots
        .iter()
        .filter(|(_, other)| other.state.is_some());
    let is_own = change == Change::Deleting || at == 1;
    if !is_own || changing.any(|(name, _)| is_other(name)) {
        return Err(unsettled(disk));
    }
    follow(qmp, disk, snapshot).await
}

/// Takes a snapshot out of the chains of these disks. May be repeated, also after an agent that died.
pub(super) async fn remove(
    cx: &Cx,
    vmid: VmId,
    qmp: &Qmp,
    disks: &[LayeredDisk],
    what: (&str, Change),
) -> Result<(), Error> {
    for disk in disks {
        settle(cx, vmid, qmp, disk, what).await?;
        let chain = look(cx, vmid, qmp, disk).await?;
        if chain.is_behind {
            return Err(unsettled(disk));
        }
        let mut paused = false;
        let merged = merge(cx, qmp, disk, &chain, what, &mut paused).await;
        if paused {
            // Whether QEMU has changed its chain or not: names and nodes agree before it writes.
            settle(cx, vmid, qmp, disk, what).await?;
            qmp.cont().await.map_err(qmp_failed)?;
        }
        merged?;
        // A layer that went up is in no header any more. Of a guest that stood still QEMU has closed no
        // descriptors.
        follow(qmp, disk, what.0).await?;
        disk.layers()?.finish(disk.name()).await?;
    }
    Ok(())
}

/// Merges the layer of a snapshot, if there is one. What a layer went down into has its name before the
/// guest goes on.
async fn merge(
    cx: &Cx,
    qmp: &Qmp,
    disk: &LayeredDisk,
    chain: &Chain,
    (snapshot, change): (&str, Change),
    paused: &mut bool,
) -> Result<(), Error> {
    let Some(at) = chain.place_of(snapshot) else {
        return Ok(());
    };
    let merge = match change {
        // What is taken back is nearly empty, and the guest goes back to its file.
        Change::Making => Merge::Down,
        Change::Deleting => Merge::of(&chain.names, at),
    };
    let is_down = merge == Merge::Down;
    merge_at(cx, qmp, disk, chain, (at, merge), paused).await?;
    match is_down {
        true => follow(qmp, disk, snapshot).await,
        false => Ok(()),
    }
}

fn job_of(cx: &Cx, disk: &LayeredDisk) -> String {
    cx.job_id(&format!("merge-{}", disk.slot))
}

async fn look(cx: &Cx, vmid: VmId, qmp: &Qmp, disk: &LayeredDisk) -> Result<Chain, Error> {
    let names = disk.layers()?.layers(disk.name()).await?;
    let spec = cx.node.attach_to_running(vmid, &disk.volume).await?;
    let nodes = qmp.layers(&disk.node()).await;
    let nodes = nodes.map_err(qmp_failed)?;
    // Both with what it is a linked clone of.
    let (named, open) = (spec.layers().count(), nodes.len());
    if named != open && named != open + 1 {
        let text = format!("'{}' has {named} layers, QEMU has {open} open", disk.volume);
        return Err(Error::conflict(text));
    }
    Ok(Chain {
        names,
        nodes,
        is_behind: named == open + 1,
    })
}

/// Has QEMU merge the layer at this place. The names stay, but for a header. `paused` says whether the
/// guest, which executed, was paused for it.
async fn merge_at(
    cx: &Cx,
    qmp: &Qmp,
    disk: &LayeredDisk,
    chain: &Chain,
    (at, merge): (usize, Merge),
    paused: &mut bool,
) -> Result<(), Error> {
    check_mergeable(qmp, disk).await?;
    let (names, nodes) = (&chain.names, &chain.nodes);
    let id = job_of(cx, disk);
    let mut said = qmp.events();
    let begun = match merge {
        Merge::Up => {
            let merge = LayerMerge {
                job: &id,
                top: &nodes[at - 1],
                base: &nodes[at + 1],
                words: names[at].backing.as_deref(),
            };
            qmp.merge_up(merge).await
        }
        Merge::Down => {
            let (above, layer) = (&names[at - 1], &names[at].layer);
            let room = disk.layers()?.make_room(disk.name(), layer, above.size);
            room.await?;
            let merge = LayerMerge {
                job: &id,
                top: &nodes[at - 1],
                base: &nodes[at],
                // The one above goes on to name what has that name afterwards.
                words: at
                    .checked_sub(2)
                    .and_then(|above| names[above].backing.as_deref()),
            };
            qmp.merge_down(&disk.node(), merge).await
        }
    };
    begun.map_err(qmp_failed)?;
    let has_all = |job: &Job| matches!(job.state, JobState::Ready | JobState::Pending);
    if let Some(job) = until_job(cx, qmp, &id, LAYERS, has_all).await? {
        disk.layers()?.get_ready(disk.name()).await?;
        let state = qmp.status().await.map_err(qmp_failed)?.state;
        *paused = state == "running";
        // It writes out everything, too, also where the guest stands still already.
        qmp.pause().await.map_err(qmp_failed)?;
        if job.state == JobState::Ready {
            qmp.complete_job(&id).await.map_err(qmp_failed)?;
            until_job(cx, qmp, &id, LAYERS, |job| job.state == JobState::Pending).await?;
        }
        qmp.finalize_job(&id).await.map_err(qmp_failed)?;
    }
    until_job(cx, qmp, &id, LAYERS, |_| false).await?;
    // The header is on the disk before a file goes.
    qmp.pause().await.map_err(qmp_failed)?;
    outcome(cx, &mut said, &id).await
}

/// Refuses a disk whose files QEMU cannot write, and a guest that could wake up between a change of
/// QEMU's chain and of the names.
async fn check_mergeable(qmp: &Qmp, disk: &LayeredDisk) -> Result<(), Error> {
    if disk.is_read_only {
        let volume = &disk.volume;
        let text = format!("'{volume}' is read-only for the guest: stop it first");
        return Err(Error::conflict(text));
    }
    let state = qmp.status().await.map_err(qmp_failed)?.state;
    match state.as_str() {
        "suspended" => Err(Error::conflict(
            "the guest sleeps, and could wake up meanwhile: wake or stop it first",
        )),
        _ => Ok(()),
    }
}

/// How a job that is gone has ended, by what QEMU said of it.
async fn outcome(cx: &Cx, said: &mut Events, id: &str) -> Result<(), Error> {
    let failed = |why: &str| Err(Error::unavailable(format!("the merge failed: {why}")));
    let of_job = async {
        loop {
            let event = said.next().await?;
            if event.data["device"] == id && event.name.starts_with("BLOCK_JOB_C") {
                return Ok::<_, QmpError>(event);
            }
        }
    };
    let event = tokio::select! {
        biased;
        event = of_job => event.map_err(qmp_failed)?,
        () = cx.clock.sleep(LOOK) => return failed("QEMU does not say how it ended"),
    };
    match event.data["error"].as_str() {
        Some(why) => failed(why),
        None if event.name == "BLOCK_JOB_COMPLETED" => Ok(()),
        None => failed("it was cancelled"),
    }
}

/// Closes what QEMU has left, then gives the files their names.
async fn follow(qmp: &Qmp, disk: &LayeredDisk, snapshot: &str) -> Result<(), Error> {
    close_unused(qmp, disk).await?;
    Ok(disk.layers()?.follow(disk.name(), snapshot).await?)
}

/// Removes the nodes of a drive that are not in its chain, and the descriptors that none of its nodes
/// uses.
async fn close_unused(qmp: &Qmp, disk: &LayeredDisk) -> Result<(), Error> {
    let used = qmp.layers(&disk.node()).await;
    let used = used.map_err(qmp_failed)?;
    let is_used = |name: &String| used.iter().any(|top| top == name || file_of(top) == *name);
    let existing = qmp.block_nodes().await.map_err(qmp_failed)?;
    for name in image_nodes(disk.slot, &existing) {
        if !is_used(&name) {
            qmp.remove_block_node(&name).await.map_err(qmp_failed)?;
        }
    }
    let files = qmp.node_files().await.map_err(qmp_failed)?;
    let open: Vec<u64> = files
        .iter()
        .filter_map(|(_, file)| descriptor_set(file))
        .collect();
    for (set, said) in qmp.descriptor_sets().await.map_err(qmp_failed)? {
        let is_drives = said.iter().any(|said| drives::is_label_of(said, disk.slot));
        if is_drives && !open.contains(&set) {
            qmp.remove_descriptors(set).await.map_err(qmp_failed)?;
        }
    }
    Ok(())
}
