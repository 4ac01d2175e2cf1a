//! Deletes a snapshot of a virtual machine.
//!
//! ```text
//!   claim ─ mark ─ delete-disks ─ delete-memory ─ forget ┃ release
//!            │                                           ┃ point of no return: it is in no record
//!            from here on it is shown as incomplete
//! ```
//!
//! What was deleted does not come back: broken off, the snapshot stays marked and can be deleted
//! again, and cannot be rolled back to.

use async_trait::async_trait;
use guest::qemu::VmConfig;
use model::{Error, GuestRecord, SnapshotState, VmId, VolumeId};
use serde::{Deserialize, Serialize};
use tasks::{Probe, Step, Steps, Task, TaskContext};

use super::claim::{Claim, Claims, Release, check_lock};
use super::{guest_object, memory};
use crate::NodeContext;
use crate::qemu::disk_snapshots::Disk;
use crate::qemu::drives;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct QemuDelsnapshot {
    pub vmid: VmId,
    pub name: String,
    /// Forget the snapshot also where disks cannot be reached.
    pub force: bool,
    /// Found by `mark`.
    #[serde(default)]
    disks: Vec<Disk>,
    #[serde(default)]
    memory: Option<VolumeId>,
}

impl QemuDelsnapshot {
    pub fn new(vmid: VmId, name: String, force: bool) -> Self {
        Self {
            vmid,
            name,
            force,
            disks: Vec::new(),
            memory: None,
        }
    }

    /// With `force`, errors are logged and ignored.
    async fn tolerate(&self, cx: &Cx, result: Result<(), Error>) -> Result<(), Error> {
        match result {
            Err(error) if self.force => {
                cx.warn(&format!("left behind: {error}")).await;
                Ok(())
            }
            result => result,
        }
    }
}

impl Task for QemuDelsnapshot {
    type Node = NodeContext;
    const NAME: &'static str = "qemu_delsnapshot";
    const VERSION: u32 = 1;
    const KIND: &'static str = "qmdelsnapshot";
    const ON_FULL_DISK: bool = true;

    fn steps() -> Steps<Self> {
        Steps {
            before: &[&Claim, &Mark, &DeleteDisks, &DeleteMemory, &Forget],
            after: &[&Release],
        }
    }

    fn object(&self) -> Option<String> {
        Some(guest_object(self.vmid))
    }
}

impl Claims for QemuDelsnapshot {
    const SHOWN_AS: &'static str = "snapshot-delete";

    fn vmid(&self) -> VmId {
        self.vmid
    }

    fn check(&self, guest: &GuestRecord) -> Result<(), Error> {
        snapshot_of(guest, &self.name)?;
        check_lock(guest, false)
    }
}

/// A guest's snapshot, in the words of Proxmox VE where there is none.
pub fn snapshot_of<'a>(guest: &'a GuestRecord, name: &str) -> Result<&'a model::Snapshot, Error> {
    let none = || Error::not_found(format!("snapshot '{name}' does not exist"));
    guest.snapshots.get(name).ok_or_else(none)
}

type Cx = TaskContext<NodeContext>;

struct Mark;

#[async_trait]
impl Step<QemuDelsnapshot> for Mark {
    fn name(&self) -> &'static str {
        "mark"
    }

    async fn plan(&self, cx: &Cx, task: &mut QemuDelsnapshot) -> Result<(), Error> {
        let guest = cx.node.records.qemu(task.vmid).await?.record.data;
        let snapshot = snapshot_of(&guest, &task.name)?;
        let config = VmConfig::parse(&snapshot.config).map_err(Error::invalid_fields)?;
        task.disks = drives::disks_of(&config);
        task.memory = snapshot.memory.as_ref().map(|memory| memory.volume.clone());
        Ok(())
    }

    async fn act(&self, cx: &Cx, task: &mut QemuDelsnapshot) -> Result<(), Error> {
        let mark = |guest: &mut GuestRecord| {
            if let Some(snapshot) = guest.snapshots.get_mut(&task.name) {
                snapshot.state = Some(SnapshotState::Delete);
            }
            Ok(())
        };
        let revision = cx.node.records.change_guest(task.vmid, mark).await?;
        cx.committed(revision.0);
        Ok(())
    }
}

struct DeleteDisks;

#[async_trait]
impl Step<QemuDelsnapshot> for DeleteDisks {
    fn name(&self) -> &'static str {
        "delete-disks"
    }

    async fn act(&self, cx: &Cx, task: &mut QemuDelsnapshot) -> Result<(), Error> {
        let deleted = cx
            .node
            .delete_disk_snapshots(task.vmid, &task.disks, &task.name)
            .await;
        task.tolerate(cx, deleted).await
    }
}

struct DeleteMemory;

#[async_trait]
impl Step<QemuDelsnapshot> for DeleteMemory {
    fn name(&self) -> &'static str {
        "delete-memory"
    }

    async fn act(&self, cx: &Cx, task: &mut QemuDelsnapshot) -> Result<(), Error> {
        let Some(volume) = &task.memory else {
            return Ok(());
        };
        let freed = memory::free(cx, volume).await;
        task.tolerate(cx, freed).await
    }
}

/// Takes the snapshot out of the record; those that followed it follow its parent.
struct Forget;

#[async_trait]
impl Step<QemuDelsnapshot> for Forget {
    fn name(&self) -> &'static str {
        "forget"
    }

    async fn probe(&self, cx: &Cx, task: &mut QemuDelsnapshot) -> Result<Probe, Error> {
        let guest = cx.node.records.qemu(task.vmid).await?.record.data;
        Ok(if guest.snapshots.contains_key(&task.name) {
            Probe::NotDone
        } else {
            Probe::Done
        })
    }

    async fn act(&self, cx: &Cx, task: &mut QemuDelsnapshot) -> Result<(), Error> {
        let forget = |guest: &mut GuestRecord| {
            let Some(gone) = guest.snapshots.remove(&task.name) else {
                return Ok(());
            };
            for snapshot in guest.snapshots.values_mut() {
                if snapshot.parent.as_ref() == Some(&task.name) {
                    snapshot.parent = gone.parent.clone();
                }
            }
            if guest.config.text("parent").as_ref() == Some(&task.name) {
                match &gone.parent {
                    Some(parent) => guest.config.set("parent", parent.clone()),
                    None => drop(guest.config.0.remove("parent")),
                }
            }
            Ok(())
        };
        let revision = cx.node.records.change_guest(task.vmid, forget).await?;
        cx.committed(revision.0);
        Ok(())
    }
}
