//! Makes a snapshot of a virtual machine, with its memory or without.
//!
//! ```text
//!   claim ─ prepare ─ allocate-memory ─ save-memory ─ snapshot-disks ─ finish-memory ─ publish ┃ release
//!              │                          │                                 │           point of no return:
//!              in the record, marked      here the guest stands still ──────┘           the snapshot is whole
//! ```

use async_trait::async_trait;
use guest::qemu::VmConfig;
use model::{Error, GuestConfig, GuestRecord, Snapshot, SnapshotState, VmId};
use serde::{Deserialize, Serialize};
use tasks::{Probe, Step, Steps, Task, TaskContext};

use super::claim::{Claim, Claims, Release, check_lock};
use super::memory::{
    AllocateMemory, FinishMemory, NewMemory, SaveMemory, SavesMemory, plan_memory,
};
use super::{guest_object, qmp_failed};
use crate::qemu::disk_snapshots::{Disk, disks};
use crate::{Freeze, NodeContext};

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct QemuSnapshot {
    pub vmid: VmId,
    pub name: String,
    pub description: Option<String>,
    /// Save the memory too, if the guest runs.
    pub with_memory: bool,
    /// Chosen by `prepare`.
    #[serde(default)]
    disks: Vec<Disk>,
    #[serde(default)]
    memory: Option<NewMemory>,
    /// Whether the guest is paused for a moment while the snapshots are made.
    #[serde(default)]
    pauses: bool,
}

impl QemuSnapshot {
    pub fn new(vmid: VmId, name: String, description: Option<String>, with_memory: bool) -> Self {
        Self {
            vmid,
            name,
            description,
            with_memory,
            disks: Vec::new(),
            memory: None,
            pauses: false,
        }
    }
}

impl Task for QemuSnapshot {
    type Node = NodeContext;
    const NAME: &'static str = "qemu_snapshot";
    const VERSION: u32 = 1;
    const KIND: &'static str = "qmsnapshot";

    fn steps() -> Steps<Self> {
        Steps {
            before: &[
                &Claim,
                &Prepare,
                &AllocateMemory,
                &SaveMemory,
                &SnapshotDisks,
                &FinishMemory,
                &Publish,
            ],
            after: &[&Release],
        }
    }

    fn object(&self) -> Option<String> {
        Some(guest_object(self.vmid))
    }
}

impl Claims for QemuSnapshot {
    const SHOWN_AS: &'static str = "snapshot";

    fn vmid(&self) -> VmId {
        self.vmid
    }

    fn check(&self, guest: &GuestRecord) -> Result<(), Error> {
        if guest.config.flag("template") == Some(true) {
            return Err(Error::conflict(
                "you can't take a snapshot if it's a template",
            ));
        }
        if guest.snapshots.contains_key(&self.name) {
            let name = &self.name;
            return Err(Error::conflict(format!(
                "snapshot name '{name}' already used"
            )));
        }
        check_lock(guest, false)
    }
}

impl SavesMemory for QemuSnapshot {
    const RUNS_ON: bool = true;

    fn vmid(&self) -> VmId {
        self.vmid
    }

    fn memory(&self) -> Option<&NewMemory> {
        self.memory.as_ref()
    }
}

type Cx = TaskContext<NodeContext>;

/// What a snapshot keeps of the options.
fn kept(config: &GuestConfig) -> GuestConfig {
    let is_kept = |name: &str| {
        let is_own = ["description", "parent", "lock", "digest", "vmstate"].contains(&name);
        !is_own && !name.starts_with("unused")
    };
    let kept = config.0.iter().filter(|(name, _)| is_kept(name));
    GuestConfig(
        kept.map(|(name, value)| (name.clone(), value.clone()))
            .collect(),
    )
}

/// Puts the snapshot into the record, where it shows that it is being made.
struct Prepare;

#[async_trait]
impl Step<QemuSnapshot> for Prepare {
    fn name(&self) -> &'static str {
        "prepare"
    }

    async fn plan(&self, cx: &Cx, task: &mut QemuSnapshot) -> Result<(), Error> {
        let guest = cx.node.records.qemu(task.vmid).await?.record.data;
        let config = VmConfig::parse(&guest.config).map_err(Error::invalid_fields)?;
        task.disks = disks(&cx.node, &config).await?;
        if task.with_memory && cx.node.running.is_running(task.vmid).await? {
            let what = format!("state-{}", task.name);
            task.memory = Some(plan_memory(cx, &guest, None, &what).await?);
        }
        // With its memory saved it stands still anyway.
        task.pauses = task.memory.is_none() && cx.node.needs_pause(task.vmid, &task.disks).await?;
        Ok(())
    }

    async fn act(&self, cx: &Cx, task: &mut QemuSnapshot) -> Result<(), Error> {
        let now = cx.clock.wall();
        let prepare = |guest: &mut GuestRecord| {
            let snapshot = Snapshot {
                config: kept(&guest.config),
                description: task.description.clone(),
                parent: guest.config.text("parent"),
                created: now,
                memory: task.memory.as_ref().map(|memory| memory.saved.clone()),
                state: Some(SnapshotState::Prepare),
            };
            guest.snapshots.insert(task.name.clone(), snapshot);
            Ok(())
        };
        let revision = cx.node.records.change_guest(task.vmid, prepare).await?;
        cx.committed(revision.0);
        Ok(())
    }

    async fn undo(&self, cx: &Cx, task: &QemuSnapshot) -> Result<(), Error> {
        let forget = |guest: &mut GuestRecord| {
            guest.snapshots.remove(&task.name);
            Ok(())
        };
        let revision = cx.node.records.change_guest(task.vmid, forget).await?;
        cx.committed(revision.0);
        Ok(())
    }
}

struct SnapshotDisks;

#[async_trait]
impl Step<QemuSnapshot> for SnapshotDisks {
    fn name(&self) -> &'static str {
        "snapshot-disks"
    }

    async fn act(&self, cx: &Cx, task: &mut QemuSnapshot) -> Result<(), Error> {
        for (slot, volume) in &task.disks {
            cx.log(&format!("snapshotting '{slot}' ({volume})")).await;
        }
        // With its memory a guest goes on where it was; without, its file systems must be whole.
        if task.memory.is_some() || !cx.node.running.is_running(task.vmid).await? {
            return cx
                .node
                .snapshot_disks(task.vmid, &task.disks, &task.name, false)
                .await;
        }
        freeze(cx, task.vmid).await?;
        let made = cx
            .node
            .snapshot_disks(task.vmid, &task.disks, &task.name, task.pauses)
            .await;
        thaw(cx, task.vmid).await;
        made
    }

    async fn undo(&self, cx: &Cx, task: &QemuSnapshot) -> Result<(), Error> {
        if task.pauses {
            run_on(cx, task.vmid).await?;
        }
        thaw(cx, task.vmid).await;
        cx.node
            .delete_disk_snapshots(task.vmid, &task.disks, &task.name)
            .await
    }
}

/// Lets a guest execute again that may have been left paused.
async fn run_on(cx: &Cx, vmid: VmId) -> Result<(), Error> {
    if !cx.node.running.is_running(vmid).await? {
        return Ok(());
    }
    let qmp = cx.node.running.qmp(vmid).await?;
    match qmp.status().await.map_err(qmp_failed)?.state.as_str() {
        "paused" => qmp.cont().await.map_err(qmp_failed),
        _ => Ok(()),
    }
}

/// A guest that does not thaw now is thawed by who looks after such guests.
async fn thaw(cx: &Cx, vmid: VmId) {
    if cx.node.thaw(vmid).await.is_ok() {
        return;
    }
    // It stands still: what hindered is tried once more at once.
    if let Err(error) = cx.node.thaw(vmid).await {
        cx.warn(&format!("the guest is not thawed yet: {error}"))
            .await;
    }
}

async fn freeze(cx: &Cx, vmid: VmId) -> Result<(), Error> {
    match cx.node.freeze(vmid).await? {
        Freeze::Frozen { filesystems } => {
            cx.log(&format!("froze {filesystems} file systems")).await;
        }
        Freeze::NotWanted => {}
        Freeze::NoAgent(why) => {
            cx.warn(&format!("file systems are not frozen: {why}"))
                .await
        }
    }
    Ok(())
}

/// The snapshot is whole, and what the guest does from now on follows it.
struct Publish;

#[async_trait]
impl Step<QemuSnapshot> for Publish {
    fn name(&self) -> &'static str {
        "publish"
    }

    async fn probe(&self, cx: &Cx, task: &mut QemuSnapshot) -> Result<Probe, Error> {
        let guest = cx.node.records.qemu(task.vmid).await?.record.data;
        let snapshot = guest.snapshots.get(&task.name);
        let is_whole = snapshot.is_some_and(|snapshot| snapshot.state.is_none());
        Ok(if is_whole {
            Probe::Done
        } else {
            Probe::NotDone
        })
    }

    async fn act(&self, cx: &Cx, task: &mut QemuSnapshot) -> Result<(), Error> {
        let publish = |guest: &mut GuestRecord| {
            if let Some(snapshot) = guest.snapshots.get_mut(&task.name) {
                snapshot.state = None;
            }
            guest.config.set("parent", task.name.clone());
            Ok(())
        };
        let revision = cx.node.records.change_guest(task.vmid, publish).await?;
        cx.committed(revision.0);
        Ok(())
    }

    async fn undo(&self, cx: &Cx, task: &QemuSnapshot) -> Result<(), Error> {
        // A commit whose answer was lost and whose result was unknown for a time.
        let guest = cx.node.records.qemu(task.vmid).await?.record.data;
        let parent = guest
            .snapshots
            .get(&task.name)
            .and_then(|s| s.parent.clone());
        if guest.config.text("parent").as_ref() != Some(&task.name) {
            return Ok(());
        }
        let take_back = |guest: &mut GuestRecord| {
            match &parent {
                Some(parent) => guest.config.set("parent", parent.clone()),
                None => drop(guest.config.0.remove("parent")),
            }
            Ok(())
        };
        cx.node.records.change_guest(task.vmid, take_back).await?;
        Ok(())
    }
}
