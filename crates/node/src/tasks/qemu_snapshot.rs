//! Makes a snapshot of a virtual machine, with its memory or without.
//!
//! ```text
//!   claim ─ prepare ─ allocate-memory ─ save-memory ─ snapshot-disks ─ finish-memory ─ publish ┃ release
//!              │                          │                                 │           point of no return:
//!              in the record, marked      here the guest stands still ──────┘           the snapshot is whole
//! ```

use async_trait::async_trait;
use model::{Error, GuestRecord, SavedMemory, VmId};
use serde::{Deserialize, Serialize};
use tasks::{Step, Steps, Task, TaskContext};

use super::claim::{Claim, Claims, Release};
use super::guest_object;
use super::make_snapshot::{MakesSnapshot, Prepare, Publish, check_new_snapshot};
use super::memory::{
    AllocateMemory, FinishMemory, NewMemory, SaveMemory, SavesMemory, plan_memory,
};
use crate::guests::disks::Disk;
use crate::qemu::disk_snapshots::{Change, delete_disk_snapshots, leave_disks, snapshot_disks};
use crate::{Freeze, NodeContext};

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct QemuSnapshot {
    pub vmid: VmId,
    pub name: String,
    pub description: Option<String>,
    /// Save the memory too, if the guest runs.
    pub with_memory: bool,
    /// The snapshot job that makes it.
    #[serde(default)]
    pub job: Option<String>,
    /// Chosen by `prepare`.
    #[serde(default)]
    disks: Vec<Disk>,
    #[serde(default)]
    memory: Option<NewMemory>,
    /// Whether the guest, which executes, may be paused for a moment.
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
            job: None,
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
        check_new_snapshot(guest, &self.name)
    }
}

#[async_trait]
impl MakesSnapshot for QemuSnapshot {
    fn snapshot(&self) -> &str {
        &self.name
    }

    fn description(&self) -> Option<&str> {
        self.description.as_deref()
    }

    fn job(&self) -> Option<&str> {
        self.job.as_deref()
    }

    fn set_disks(&mut self, disks: Vec<Disk>) {
        self.disks = disks;
    }

    async fn choose_more(&mut self, cx: &Cx, guest: &GuestRecord) -> Result<(), Error> {
        if self.with_memory && cx.node.running.is_running(self.vmid).await? {
            let what = format!("state-{}", self.name);
            self.memory = Some(plan_memory(cx, guest, None, &what).await?);
        }
        // With its memory saved it stands still anyway.
        self.pauses = self.memory.is_none() && cx.node.may_pause(self.vmid, &self.disks).await?;
        Ok(())
    }

    fn saved_memory(&self) -> Option<&SavedMemory> {
        self.memory.as_ref().map(|memory| &memory.saved)
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
            return snapshot_disks(cx, task.vmid, &task.disks, &task.name, false).await;
        }
        freeze(cx, task.vmid).await?;
        let made = snapshot_disks(cx, task.vmid, &task.disks, &task.name, task.pauses).await;
        thaw(cx, task.vmid).await;
        made
    }

    async fn undo(&self, cx: &Cx, task: &QemuSnapshot) -> Result<(), Error> {
        let what = (task.name.as_str(), Change::Making);
        let left = match task.pauses {
            true => leave_disks(cx, task.vmid, &task.disks, what, true).await,
            false => Ok(()),
        };
        thaw(cx, task.vmid).await;
        left?;
        delete_disk_snapshots(cx, task.vmid, &task.disks, what).await
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
