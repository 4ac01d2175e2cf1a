//! The source's QEMU: it sends disks and memory to the target's.
//!
//! ```text
//!   launch at the target ─ mirrors of local disks ─ memory … pre-switchover
//!                                                   │        │ the guest is paused
//!                                                   │ an emulated one is paused before
//!                          mirrors end ─ the rest of memory ─ the target has all
//! ```
//!
//! At the end both QEMUs are paused and have the same guest. `come_back` lets it go on here, from any
//! moment.

use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::time::Duration;

use guest::qemu::block::node_name;
use guest::qemu::{
    Accel, Events, JobState, Migration, MigrationState, NodeCopy, Pace, Qmp, exported_node,
};
use model::qemu::DriveSlot;
use model::{Error, GuestConfig, VmId, VolumeId};
use serde_json::Value;
use tasks::TaskContext;
use tokio::io::copy_bidirectional;
use tokio::net::UnixListener;
use tokio::task::JoinSet;

use super::ask::{Ask, Wanted};
use super::image::{broken, connected};
use super::incoming::DESCRIPTOR;
use super::remote::Remote;
use crate::NodeContext;
use crate::cluster::AgentStream;
use crate::qemu::live_copy::{self, until_jobs_change};
use crate::tasks::qmp_failed;

type Cx = TaskContext<NodeContext>;

/// How often jobs and memory are looked at if QEMU reports nothing; how often that is logged.
const LOOK: Duration = Duration::from_millis(100);
const TELL: Duration = Duration::from_secs(1);

/// After how many looks without progress the guest may stand still for twice as long. Source: Proxmox
/// VE.
const STALLED: u32 = 5;

/// How long a guest may stand still where it is not configured.
const DOWNTIME_S: f64 = 0.1;

/// The longest downtime that QEMU accepts.
const DOWNTIME_MAX_MS: u64 = 2_000_000;

/// A guest that moves while it runs.
pub(crate) struct Journey<'a> {
    pub(crate) remote: Remote<'a>,
    /// What it was started as.
    pub(crate) machine: &'a Value,
    pub(crate) wanted: &'a [Wanted],
    pub(crate) renamed: &'a [(VolumeId, VolumeId)],
    pub(crate) pace: Pace,
    /// How fast a disk is mirrored; 0 for as fast as it goes.
    pub(crate) disk_bytes_per_s: u64,
}

/// A guest that the target's QEMU has.
#[derive(Debug, Clone)]
pub(crate) struct Arrived {
    /// When it was paused, by the monotonic clock.
    pub(crate) paused: Duration,
    /// How fast its memory was sent, in words.
    pub(crate) speed: String,
}

/// A disk that QEMU mirrors, and its volume at the target.
struct Disk<'a> {
    slot: DriveSlot,
    wanted: &'a Wanted,
    to: &'a VolumeId,
}

impl Disk<'_> {
    fn socket(&self, cx: &Cx, vmid: VmId) -> PathBuf {
        socket_of(cx, vmid, self.slot)
    }
}

fn socket_of(cx: &Cx, vmid: VmId, slot: DriveSlot) -> PathBuf {
    let folder = cx.node.paths.guest(vmid);
    folder.join(format!("nbd-{slot}.sock"))
}

/// The node that is the other QEMU's disk.
fn remote_node(slot: DriveSlot) -> String {
    format!("nbd-{slot}")
}

fn job_of(cx: &Cx, slot: DriveSlot) -> String {
    cx.job_id(&format!("move-{slot}"))
}

/// The guest's own limits, and that of the task; the cache is a tenth of the memory.
pub(crate) fn pace(config: &GuestConfig, memory_mib: u64, bytes_per_s: u64) -> Pace {
    let number = |option: &str| config.text(option)?.parse::<f64>().ok();
    let downtime_s = number("migrate_downtime").unwrap_or(DOWNTIME_S);
    let own = number("migrate_speed").map(|mib| (mib * f64::from(1 << 20)) as u64);
    let limits = [own, Some(bytes_per_s)].into_iter().flatten();
    let tenth = (memory_mib << 20) / 10;
    Pace {
        bytes_per_s: limits.filter(|limit| *limit > 0).min().unwrap_or(0),
        downtime_ms: ((downtime_s * 1000.0) as u64).min(DOWNTIME_MAX_MS),
        cache_bytes: 1 << tenth.max(1 << 20).ilog2(),
    }
}

impl Journey<'_> {
    fn disks(&self) -> impl Iterator<Item = Disk<'_>> {
        let pairs = self.wanted.iter().zip(self.renamed);
        pairs.filter_map(|(wanted, (_, to))| {
            let slot = wanted.live?;
            Some(Disk { slot, wanted, to })
        })
    }

    /// Brings the guest to the target. Afterwards it is paused on both sides.
    pub(crate) async fn go(&self, cx: &Cx) -> Result<Arrived, Error> {
        let (vmid, target) = (self.remote.vmid, self.remote.target);
        cx.log(&format!("starting VM {vmid} on remote node '{target}'"))
            .await;
        self.launch().await?;
        let qmp = cx.node.running.qmp(vmid).await?;
        let _mirrors = self.mirror(cx, &qmp).await?;
        cx.log("starting online/live migration").await;
        let AgentStream { descriptor, held } = self.remote.stream(Ask::Memory).await?;
        let named = qmp.name_descriptor(DESCRIPTOR, descriptor.as_fd()).await;
        named.map_err(qmp_failed)?;
        // QEMU has a copy: the connection ends with QEMU's.
        drop(descriptor);
        let mut events = qmp.events();
        let stands_still = self.stand_still(cx, &qmp).await?;
        self.set_off(cx, &qmp).await?;
        let started = cx.clock.monotonic();
        self.until_paused(cx, &qmp, &mut events).await?;
        let paused = stands_still.unwrap_or_else(|| cx.clock.monotonic());
        self.end_mirrors(cx, &qmp).await?;
        qmp.finish_migration().await.map_err(qmp_failed)?;
        let last = until_completed(cx, &qmp, &mut events).await?;
        let () = self.remote.ask(Ask::Land).await?;
        drop(held);
        let took = (cx.clock.monotonic() - started).as_secs_f64().max(0.001);
        let size = size(last.written);
        cx.log(&format!("migration completed, transferred {size} VM-state"))
            .await;
        Ok(Arrived {
            paused,
            speed: per_second(last.written as f64 / took),
        })
    }

    /// Starts the target's QEMU, with the disks that are mirrored.
    async fn launch(&self) -> Result<(), Error> {
        for Disk { wanted, to, .. } in self.disks() {
            let allocate = Ask::Allocate {
                volume: to.clone(),
                format: wanted.format,
                bytes: wanted.bytes,
            };
            let () = self.remote.ask(allocate).await?;
        }
        let launch = Ask::Launch {
            machine: self.machine.clone(),
            renamed: self.renamed.to_vec(),
            exported: self.disks().map(|disk| disk.slot).collect(),
        };
        self.remote.ask(launch).await
    }

    /// Mirrors the local disks, and waits until the target has all. The connections break when the
    /// value is dropped.
    async fn mirror(&self, cx: &Cx, qmp: &Qmp) -> Result<JoinSet<()>, Error> {
        let mut connections = JoinSet::new();
        if self.disks().next().is_none() {
            return Ok(connections);
        }
        cx.log("starting storage migration").await;
        let file = cx.node.running.run_file(self.remote.vmid).await?;
        let user = file.and_then(|file| file.user);
        for disk in self.disks() {
            let slot = disk.slot;
            let socket = disk.socket(cx, self.remote.vmid);
            let stream = self.remote.stream(Ask::Disk).await?;
            let listener = cx.node.host.listen(&socket, user).await?;
            connections.spawn(relay(listener, stream));
            let text = socket.display().to_string();
            cx.log(&format!("{slot}: start migration to nbd:unix:{text}"))
                .await;
            let node = exported_node(&remote_node(slot), &text, &slot.to_string());
            qmp.add_block_node(node).await.map_err(qmp_failed)?;
            let copy = NodeCopy {
                job: &job_of(cx, slot),
                node: &node_name(slot),
                target: &remote_node(slot),
                bytes_per_s: self.disk_bytes_per_s,
            };
            qmp.mirror_away(copy).await.map_err(qmp_failed)?;
            cx.log(&format!("drive mirror is starting for {}", node_name(slot)))
                .await;
        }
        self.until_ready(cx, qmp).await?;
        cx.log("all 'mirror' jobs are ready").await;
        Ok(connections)
    }

    async fn until_ready(&self, cx: &Cx, qmp: &Qmp) -> Result<(), Error> {
        let mut events = qmp.events();
        let mut told = cx.clock.monotonic();
        loop {
            let is_due = cx.clock.monotonic() >= told + TELL;
            let mut are_ready = true;
            for disk in self.disks() {
                let job = live_copy::job(qmp, &job_of(cx, disk.slot)).await?;
                let job = job.ok_or_else(lost_mirror)?;
                match job.state {
                    JobState::Ready => {}
                    JobState::Running => are_ready = false,
                    JobState::Failed(why) => {
                        return Err(Error::unavailable(format!("the mirror failed: {why}")));
                    }
                    JobState::Done | JobState::Pending => return Err(lost_mirror()),
                }
                if is_due {
                    cx.progress(&node_name(disk.slot), job.done, job.total)
                        .await;
                }
            }
            if are_ready {
                return Ok(());
            }
            if is_due {
                told = cx.clock.monotonic();
            }
            until_jobs_change(cx, &mut events).await;
        }
    }

    /// Ends the mirrors of a paused guest: the target has all of the disks.
    async fn end_mirrors(&self, cx: &Cx, qmp: &Qmp) -> Result<(), Error> {
        for disk in self.disks() {
            let job = job_of(cx, disk.slot);
            let mut events = qmp.events();
            qmp.end_mirror(&job).await.map_err(qmp_failed)?;
            loop {
                match live_copy::job(qmp, &job).await?.map(|job| job.state) {
                    Some(JobState::Done) => break,
                    Some(JobState::Failed(why)) => {
                        return Err(Error::unavailable(format!("the mirror failed: {why}")));
                    }
                    Some(_) => until_jobs_change(cx, &mut events).await,
                    None => return Err(lost_mirror()),
                }
            }
            qmp.dismiss_job(&job).await.map_err(qmp_failed)?;
            let node = remote_node(disk.slot);
            qmp.remove_block_node(&node).await.map_err(qmp_failed)?;
        }
        Ok(())
    }

    /// Pauses an emulated guest before its memory is sent; returns when. Without KVM, QEMU can miss a
    /// page that is written while it clears the marks of written pages (decision 30).
    async fn stand_still(&self, cx: &Cx, qmp: &Qmp) -> Result<Option<Duration>, Error> {
        if self.machine["accel"] != Accel::Tcg.as_str() {
            return Ok(None);
        }
        let paused = cx.clock.monotonic();
        qmp.pause().await.map_err(qmp_failed)?;
        cx.log("the guest is emulated: it stands still while its memory is sent")
            .await;
        Ok(Some(paused))
    }

    async fn set_off(&self, cx: &Cx, qmp: &Qmp) -> Result<(), Error> {
        let Pace {
            bytes_per_s,
            downtime_ms,
            cache_bytes,
        } = self.pace;
        if bytes_per_s > 0 {
            let limit = per_second(bytes_per_s as f64);
            cx.log(&format!("migration speed limit: {limit}")).await;
        }
        cx.log(&format!("migration downtime limit: {downtime_ms} ms"))
            .await;
        cx.log(&format!("migration cachesize: {}", size(cache_bytes)))
            .await;
        qmp.send_guest(DESCRIPTOR, &self.pace)
            .await
            .map_err(qmp_failed)
    }

    /// Waits until all but the last part of memory is sent and the guest is paused for it. A guest
    /// that dirties memory faster than it is sent may stand still for longer and longer.
    async fn until_paused(&self, cx: &Cx, qmp: &Qmp, events: &mut Events) -> Result<(), Error> {
        let (mut downtime_ms, mut stalled) = (self.pace.downtime_ms, 0);
        let (mut least, mut told) = (u64::MAX, (cx.clock.monotonic(), 0));
        loop {
            let migration = qmp.migration().await.map_err(qmp_failed)?;
            match &migration.state {
                MigrationState::PreSwitchover => return Ok(()),
                MigrationState::Active => {}
                state => return Err(cannot_go_on(state)),
            }
            let now = cx.clock.monotonic();
            if now >= told.0 + TELL {
                let seconds = (now - told.0).as_secs_f64();
                let sent = migration.written.saturating_sub(told.1) as f64 / seconds;
                cx.log(&progress(&migration, sent)).await;
                told = (now, migration.written);
                stalled = match migration.remaining < least {
                    true => 0,
                    false => stalled + 1,
                };
                least = least.min(migration.remaining);
            }
            if stalled > STALLED && downtime_ms < DOWNTIME_MAX_MS {
                downtime_ms = (2 * downtime_ms).min(DOWNTIME_MAX_MS);
                stalled = 0;
                cx.log(&format!(
                    "auto-increased downtime to continue migration: {downtime_ms} ms"
                ))
                .await;
                qmp.set_downtime(downtime_ms).await.map_err(qmp_failed)?;
            }
            until_migration_changes(cx, events).await;
        }
    }
}

async fn until_completed(cx: &Cx, qmp: &Qmp, events: &mut Events) -> Result<Migration, Error> {
    loop {
        let migration = qmp.migration().await.map_err(qmp_failed)?;
        match &migration.state {
            MigrationState::Completed => return Ok(migration),
            MigrationState::Active | MigrationState::PreSwitchover => {}
            state => return Err(cannot_go_on(state)),
        }
        until_migration_changes(cx, events).await;
    }
}

async fn until_migration_changes(cx: &Cx, events: &mut Events) {
    tokio::select! {
        biased;
        _ = events.next_named("MIGRATION") => {}
        () = cx.clock.sleep(LOOK) => {}
    }
}

fn cannot_go_on(state: &MigrationState) -> Error {
    Error::unavailable(match state {
        MigrationState::Failed(why) => format!("online migrate failure - {why}"),
        _ => "online migrate failure - aborted".to_owned(),
    })
}

fn lost_mirror() -> Error {
    Error::unavailable("the mirror of a disk was ended by others")
}

/// Carries between QEMU, which connects once, and the other node.
async fn relay(listener: OwnedFd, stream: AgentStream) {
    let carried = async {
        let listener = std::os::unix::net::UnixListener::from(listener);
        let listener = UnixListener::from_std(listener).map_err(broken)?;
        let (mut qemu, _) = listener.accept().await.map_err(broken)?;
        let mut other = connected(stream.descriptor)?;
        let carried = copy_bidirectional(&mut qemu, &mut other).await;
        carried.map(drop).map_err(broken)
    };
    if let Err(error) = carried.await {
        tracing::debug!(%error, "a mirror's connection ended");
    }
    drop(stream.held);
}

/// Lets a guest go on here, wherever its migration is. The connections to the target are closed, so
/// a migration that is active fails by itself; it is not cancelled, because QEMU 7.2 may then wait
/// for ever for the word to go on.
pub(crate) async fn come_back(
    cx: &Cx,
    vmid: VmId,
    wanted: &[Wanted],
    executes: bool,
) -> Result<(), Error> {
    if !cx.node.running.is_running(vmid).await? {
        return Ok(());
    }
    let qmp = cx.node.running.qmp(vmid).await?;
    let mut events = qmp.events();
    loop {
        match qmp.migration().await.map_err(qmp_failed)?.state {
            MigrationState::PreSwitchover => qmp.cancel_migration().await.map_err(qmp_failed)?,
            MigrationState::Active => {}
            MigrationState::Idle | MigrationState::Completed | MigrationState::Failed(_) => break,
        }
        until_migration_changes(cx, &mut events).await;
    }
    // Before its disks are touched: they are its own again only once it has run.
    let wanted_state = if executes { "running" } else { "paused" };
    if qmp.status().await.map_err(qmp_failed)?.state != wanted_state {
        qmp.cont().await.map_err(qmp_failed)?;
        if !executes {
            qmp.pause().await.map_err(qmp_failed)?;
        }
    }
    let nodes = qmp.block_nodes().await.map_err(qmp_failed)?;
    for slot in wanted.iter().filter_map(|wanted| wanted.live) {
        live_copy::end_job(cx, &qmp, &job_of(cx, slot)).await?;
        let node = remote_node(slot);
        if nodes.contains(&node) {
            qmp.remove_block_node(&node).await.map_err(qmp_failed)?;
        }
        cx.node.host.remove(&socket_of(cx, vmid, slot)).await?;
    }
    Ok(())
}

fn progress(migration: &Migration, sent_per_s: f64) -> String {
    let (written, total) = (size(migration.written), size(migration.total));
    let speed = per_second(sent_per_s);
    let mut line = format!("migration active, transferred {written} of {total} VM-state, {speed}");
    if migration.dirtied_per_s as f64 > sent_per_s {
        let dirtied = per_second(migration.dirtied_per_s as f64);
        line.push_str(&format!(", VM dirties lots of memory: {dirtied}"));
    }
    line
}

/// Bytes as people read them: `256.0 MiB`.
fn size(bytes: u64) -> String {
    let mut value = bytes as f64;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if value < 1024.0 {
            return format!("{value:.1} {unit}");
        }
        value /= 1024.0;
    }
    format!("{value:.1} TiB")
}

fn per_second(bytes: f64) -> String {
    format!("{}/s", size(bytes as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_by_people() {
        for (bytes, text) in [(7, "7.0 B"), (1 << 28, "256.0 MiB"), (5 << 39, "2.5 TiB")] {
            assert_eq!(size(bytes), text);
        }
    }
}
