//! Suspends a virtual machine to disk: its memory is saved, and it ends.
//!
//! ```text
//!   claim ─ choose ─ allocate-memory ─ save-memory ─ finish-memory ─ note ┃ end ─ release
//!                                                     point of no return: ┃
//!                                      the record says where the memory is, and only that counts
//! ```

use async_trait::async_trait;
use model::{Error, GuestRecord, StorageId, VmId};
use serde::{Deserialize, Serialize};
use tasks::{Probe, Step, Steps, Task, TaskContext};

use super::claim::{Claim, Claims, Release, check_lock};
use super::guest_object;
use super::memory::{
    AllocateMemory, FinishMemory, NewMemory, SaveMemory, SavesMemory, plan_memory,
};
use crate::NodeContext;
use crate::guests::options::forget_suspension;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct QemuSuspendToDisk {
    pub vmid: VmId,
    /// Where the memory goes; with the first disk otherwise.
    pub storage: Option<StorageId>,
    pub skip_lock: bool,
    /// Chosen by `choose`.
    #[serde(default)]
    memory: Option<NewMemory>,
}

impl QemuSuspendToDisk {
    pub fn new(vmid: VmId, storage: Option<StorageId>, skip_lock: bool) -> Self {
        Self {
            vmid,
            storage,
            skip_lock,
            memory: None,
        }
    }
}

impl Task for QemuSuspendToDisk {
    type Node = NodeContext;
    const NAME: &'static str = "qemu_suspend_to_disk";
    const VERSION: u32 = 1;
    const KIND: &'static str = "qmsuspend";

    fn steps() -> Steps<Self> {
        Steps {
            before: &[
                &Claim,
                &Choose,
                &AllocateMemory,
                &SaveMemory,
                &FinishMemory,
                &Note,
            ],
            after: &[&End, &Release],
        }
    }

    fn object(&self) -> Option<String> {
        Some(guest_object(self.vmid))
    }
}

impl Claims for QemuSuspendToDisk {
    const SHOWN_AS: &'static str = "suspending";

    fn vmid(&self) -> VmId {
        self.vmid
    }

    fn check(&self, guest: &GuestRecord) -> Result<(), Error> {
        check_lock(guest, self.skip_lock)
    }
}

impl SavesMemory for QemuSuspendToDisk {
    const RUNS_ON: bool = false;

    fn vmid(&self) -> VmId {
        self.vmid
    }

    fn memory(&self) -> Option<&NewMemory> {
        self.memory.as_ref()
    }
}

type Cx = TaskContext<NodeContext>;

struct Choose;

#[async_trait]
impl Step<QemuSuspendToDisk> for Choose {
    fn name(&self) -> &'static str {
        "choose"
    }

    async fn plan(&self, cx: &Cx, task: &mut QemuSuspendToDisk) -> Result<(), Error> {
        let guest = cx.node.records.qemu(task.vmid).await?.record.data;
        let storage = task.storage.clone();
        let day = model::text::utc_date(cx.clock.wall());
        let what = format!("state-suspend-{day}");
        task.memory = Some(plan_memory(cx, &guest, storage, &what).await?);
        Ok(())
    }

    async fn probe(&self, _: &Cx, _: &mut QemuSuspendToDisk) -> Result<Probe, Error> {
        Ok(Probe::Done)
    }

    async fn act(&self, _: &Cx, _: &mut QemuSuspendToDisk) -> Result<(), Error> {
        Ok(())
    }
}

/// Writes down that the guest is suspended.
struct Note;

#[async_trait]
impl Step<QemuSuspendToDisk> for Note {
    fn name(&self) -> &'static str {
        "note"
    }

    async fn probe(&self, cx: &Cx, task: &mut QemuSuspendToDisk) -> Result<Probe, Error> {
        let guest = cx.node.records.qemu(task.vmid).await?.record.data;
        let saved = task.memory.as_ref().map(|memory| &memory.saved);
        Ok(if guest.suspended.as_ref() == saved {
            Probe::Done
        } else {
            Probe::NotDone
        })
    }

    async fn act(&self, cx: &Cx, task: &mut QemuSuspendToDisk) -> Result<(), Error> {
        let missing = || Error::bug("no memory was planned");
        let memory = task.memory.as_ref().ok_or_else(missing)?;
        let note = |guest: &mut GuestRecord| {
            guest.suspended = Some(memory.saved.clone());
            guest.config.set("lock", "suspended");
            guest.config.set("vmstate", memory.saved.volume.to_string());
            Ok(())
        };
        let revision = cx.node.records.change_guest(task.vmid, note).await?;
        cx.committed(revision.0);
        Ok(())
    }

    async fn undo(&self, cx: &Cx, task: &QemuSuspendToDisk) -> Result<(), Error> {
        let wake = |guest: &mut GuestRecord| {
            forget_suspension(guest);
            Ok(())
        };
        cx.node.records.change_guest(task.vmid, wake).await?;
        Ok(())
    }
}

struct End;

#[async_trait]
impl Step<QemuSuspendToDisk> for End {
    fn name(&self) -> &'static str {
        "end"
    }

    async fn act(&self, cx: &Cx, task: &mut QemuSuspendToDisk) -> Result<(), Error> {
        cx.node.remove_traces(task.vmid).await
    }
}
