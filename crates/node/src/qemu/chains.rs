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
//! snapshot is made, and last when one goes: QEMU then has one layer less than there are names, and
//! what has the snapshot's name is what QEMU writes to. Both are the same state, `Behind`, and what
//! mends it is the same: the snapshot's file gets the name of the layer above it.
//!
//! ```text
//!   made      names 1 2 3 │ nodes   2 3    ─► the transaction ─►  nodes 1 2 3
//!   deleted   names 1 2 3 │ nodes 1 2 3    ─► the job         ─►  nodes   2 3   ─► names 2 3
//! ```
//!
//! While the disk's own layer goes, the guest is paused from the moment that QEMU leaves it until the
//! file has its name: what it would write in between would be lost with the power.

use guest::qemu::block::{HostOptions, descriptor_set, file_of, image_nodes, node_name, overlay};
use guest::qemu::{Events, Job, JobState, LayerMerge, NewLayer, Qmp, QmpError, VmConfig};
use model::qemu::{Aio, DriveSlot};
use model::{BlockSpec, Error, VmId, VolumeId};
use storage::{FoundLayer, Layer, Merge};
use tasks::TaskContext;

use super::live_copy::{LOOK, TELL_EVERY, end_job, job, until_jobs_change};
use crate::NodeContext;
use crate::guests::disk_snapshots::snapshots_of;
use crate::guests::disks::Disk;
use crate::qemu::drives;
use crate::tasks::qmp_failed;

type Cx = TaskContext<NodeContext>;

/// A disk of a running guest.
pub(super) struct Layered {
    slot: DriveSlot,
    volume: VolumeId,
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
) -> Result<(Vec<Layered>, Vec<Disk>), Error> {
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
            Some((slot, volume)) => open.push(Layered {
                slot: *slot,
                volume: volume.clone(),
            }),
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
    disks: &[Layered],
    snapshot: &str,
) -> Result<Vec<NewLayer>, Error> {
    let mut made = Vec::new();
    for disk in disks {
        end_job(cx, qmp, &job_of(cx, disk)).await?;
        let storage = cx.node.storage(disk.volume.storage()).await?;
        let snapshots = snapshots_of(&*storage, &disk.volume)?;
        snapshots.restore(disk.volume.name(), snapshot).await?;
        let chain = look(cx, vmid, qmp, disk).await?;
        if chain.is_behind {
            return Err(unsettled(disk));
        }
        let storage = cx.node.storage(disk.volume.storage()).await?;
        let snapshots = snapshots_of(&*storage, &disk.volume)?;
        snapshots
            .create_snapshot(disk.volume.name(), snapshot)
            .await?;
        let image = chain.nodes.into_iter().next();
        let image = image.ok_or_else(|| Error::bug("a drive has no image"))?;
        let layer = open_layer(cx, vmid, qmp, disk).await?;
        made.push(NewLayer { image, layer });
    }
    Ok(made)
}

/// Opens what has the disk's name now. QEMU itself puts what it has below it.
async fn open_layer(cx: &Cx, vmid: VmId, qmp: &Qmp, disk: &Layered) -> Result<String, Error> {
    let spec = cx.node.attach_to_running(vmid, &disk.volume).await?;
    let spec = BlockSpec {
        backing: None,
        ..spec
    };
    let config = cx.node.records.qemu(vmid).await?.record.data.config;
    let config = VmConfig::parse(&config).map_err(Error::invalid_fields)?;
    let options = match config.drives.get(&disk.slot) {
        Some(drive) => HostOptions::new(drive, &spec, Aio::Threads),
        None => HostOptions::for_efi(&spec),
    };
    let options = HostOptions {
        throttle: None,
        ..options
    };
    let label = drives::label(disk.slot, &disk.volume);
    let spec = drives::pass(&cx.node.host, qmp, &label, &spec, &options).await?;
    let existing = qmp.block_nodes().await.map_err(qmp_failed)?;
    let (name, nodes) = overlay(disk.slot, &existing, &spec, &options);
    for node in nodes {
        qmp.add_block_node(node).await.map_err(qmp_failed)?;
    }
    Ok(name)
}

fn unsettled(disk: &Layered) -> Error {
    let volume = &disk.volume;
    let text = format!("a change of the layers of '{volume}' was broken off; stop the guest first");
    Error::conflict(text)
}

/// Ends what an agent that died has begun: its job, and the names of files where QEMU has moved already,
/// or not yet. May be repeated.
pub(super) async fn settle(
    cx: &Cx,
    vmid: VmId,
    qmp: &Qmp,
    disks: &[Layered],
    snapshot: &str,
) -> Result<(), Error> {
    for disk in disks {
        end_job(cx, qmp, &job_of(cx, disk)).await?;
        let storage = cx.node.storage(disk.volume.storage()).await?;
        let snapshots = snapshots_of(&*storage, &disk.volume)?;
        snapshots.restore(disk.volume.name(), snapshot).await?;
        let chain = look(cx, vmid, qmp, disk).await?;
        if chain.is_behind {
            check_is_behind_for(cx, vmid, disk, &chain, snapshot).await?;
            follow(cx, qmp, disk, snapshot).await?;
        }
    }
    Ok(())
}

/// Makes sure that it is this snapshot whose layer QEMU has no more, or not yet: it is one that is being
/// changed, the only one, and where such a one can be.
async fn check_is_behind_for(
    cx: &Cx,
    vmid: VmId,
    disk: &Layered,
    chain: &Chain,
    snapshot: &str,
) -> Result<(), Error> {
    let guest = cx.node.records.guest(vmid).await?.record.data;
    let others = guest.snapshots.iter().filter(|(name, other)| {
        *name != snapshot && other.state.is_some() && chain.place_of(name).is_some()
    });
    let at = chain.place_of(snapshot);
    let is_at_an_end = at.is_some_and(|at| at == 1 || at + 1 == chain.names.len());
    match is_at_an_end && others.count() == 0 {
        true => Ok(()),
        false => Err(unsettled(disk)),
    }
}

/// Takes a snapshot out of the chains of these disks. May be repeated, also after an agent that died.
pub(super) async fn delete(
    cx: &Cx,
    vmid: VmId,
    qmp: &Qmp,
    disks: &[Layered],
    snapshot: &str,
) -> Result<(), Error> {
    for disk in disks {
        settle(cx, vmid, qmp, std::slice::from_ref(disk), snapshot).await?;
        let chain = look(cx, vmid, qmp, disk).await?;
        let mut paused = false;
        let gone = async {
            if let Some(at) = chain.place_of(snapshot) {
                merge(cx, qmp, disk, &chain, at, &mut paused).await?;
            }
            follow(cx, qmp, disk, snapshot).await
        };
        let gone = gone.await;
        if paused {
            // Whether QEMU has left the disk's own layer or not: names and nodes agree before it writes.
            settle(cx, vmid, qmp, std::slice::from_ref(disk), snapshot).await?;
            qmp.cont().await.map_err(qmp_failed)?;
            // Of a guest that stands still QEMU closes no descriptors.
            close_unused(qmp, disk).await?;
        }
        gone?;
    }
    Ok(())
}

fn job_of(cx: &Cx, disk: &Layered) -> String {
    cx.job_id(&format!("merge-{}", disk.slot))
}

async fn look(cx: &Cx, vmid: VmId, qmp: &Qmp, disk: &Layered) -> Result<Chain, Error> {
    let storage = cx.node.storage(disk.volume.storage()).await?;
    let snapshots = snapshots_of(&*storage, &disk.volume)?;
    let names = snapshots.layers(disk.volume.name()).await?;
    let spec = cx.node.attach_to_running(vmid, &disk.volume).await?;
    let nodes = qmp.layers(&node_name(disk.slot)).await;
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

/// Has QEMU merge the layer at this place. The names stay. `paused` says whether the guest, which
/// executed, was paused for it.
async fn merge(
    cx: &Cx,
    qmp: &Qmp,
    disk: &Layered,
    chain: &Chain,
    at: usize,
    paused: &mut bool,
) -> Result<(), Error> {
    let (names, nodes) = (&chain.names, &chain.nodes);
    let (id, device) = (job_of(cx, disk), node_name(disk.slot));
    let mut said = qmp.events();
    let begun = match Merge::of(names, at) {
        Merge::Up => {
            qmp.merge_up(LayerMerge {
                job: &id,
                top: &nodes[at - 1],
                base: &nodes[at + 1],
                words: names[at].backing.as_deref(),
            })
            .await
        }
        Merge::Down => {
            let merge = LayerMerge {
                job: &id,
                top: &nodes[at - 1],
                base: &nodes[at],
                // The one above goes on to name what has that name afterwards.
                words: at
                    .checked_sub(2)
                    .and_then(|above| names[above].backing.as_deref()),
            };
            qmp.merge_down(&device, merge).await
        }
    };
    begun.map_err(qmp_failed)?;
    let moves = at == 1 && Merge::of(names, at) == Merge::Down;
    if moves && until_ready(cx, qmp, &id).await? {
        if qmp.status().await.map_err(qmp_failed)?.state == "running" {
            *paused = true;
            qmp.pause().await.map_err(qmp_failed)?;
        }
        qmp.complete_job(&id).await.map_err(qmp_failed)?;
    }
    until_gone(cx, qmp, &id).await?;
    let left = qmp.layers(&device).await.map_err(qmp_failed)?;
    match left.len() < nodes.len() {
        true => Ok(()),
        false => Err(why_it_failed(cx, &mut said, &id).await),
    }
}

/// Waits until a job has all, or until it is gone, which is false.
async fn until_ready(cx: &Cx, qmp: &Qmp, id: &str) -> Result<bool, Error> {
    wait(cx, qmp, id, |job| job.state == JobState::Ready).await
}

async fn until_gone(cx: &Cx, qmp: &Qmp, id: &str) -> Result<(), Error> {
    wait(cx, qmp, id, |_| false).await.map(drop)
}

async fn wait(
    cx: &Cx,
    qmp: &Qmp,
    id: &str,
    is_enough: impl Fn(&Job) -> bool,
) -> Result<bool, Error> {
    let mut events = qmp.events();
    let mut looks = 0_u32;
    while let Some(job) = job(qmp, id).await? {
        if is_enough(&job) {
            return Ok(true);
        }
        looks += 1;
        if looks.is_multiple_of(TELL_EVERY) {
            cx.progress("layers", job.done.min(job.total), job.total)
                .await;
        }
        until_jobs_change(cx, &mut events).await;
    }
    Ok(false)
}

/// What QEMU said of a job that is gone.
async fn why_it_failed(cx: &Cx, said: &mut Events, id: &str) -> Error {
    let of_job = async {
        loop {
            let event = said.next().await?;
            if event.name.starts_with("BLOCK_JOB_C") && event.data["device"] == id {
                let why = event.data["error"].as_str().unwrap_or("it was cancelled");
                return Ok::<_, QmpError>(why.to_owned());
            }
        }
    };
    let why = tokio::select! {
        biased;
        why = of_job => why.unwrap_or_else(|error| Error::chain(&error)),
        () = cx.clock.sleep(LOOK) => "QEMU does not say why".to_owned(),
    };
    Error::unavailable(format!("the merge failed: {why}"))
}

/// Closes what QEMU has left, then gives the files their names.
async fn follow(cx: &Cx, qmp: &Qmp, disk: &Layered, snapshot: &str) -> Result<(), Error> {
    close_unused(qmp, disk).await?;
    let storage = cx.node.storage(disk.volume.storage()).await?;
    let snapshots = snapshots_of(&*storage, &disk.volume)?;
    Ok(snapshots.follow(disk.volume.name(), snapshot).await?)
}

/// Removes the nodes of a drive that are not in its chain, and the descriptors that none of its nodes
/// uses.
async fn close_unused(qmp: &Qmp, disk: &Layered) -> Result<(), Error> {
    let used = qmp.layers(&node_name(disk.slot)).await;
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
