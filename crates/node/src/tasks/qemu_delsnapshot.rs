//! Deletes a snapshot of a virtual machine.
//!
//! ```text
//!   claim ─ mark ─ delete-disks ─ delete-memory ─ forget ┃ release
//!            │                                           ┃ point of no return: it is in no record
//!            from here on it is shown as incomplete
//! ```

use async_trait::async_trait;
use model::{Error, GuestRecord, Snapshot, VmId, VolumeId};
use serde::{Deserialize, Serialize};
use tasks::{Step, Steps, Task, TaskContext};

use super::claim::{Claim, Claims, Release};
use super::delete_snapshot::{DeleteDisks, DeletesSnapshot, Forget, Mark, check_deletion};
use super::{guest_object, memory};
use crate::NodeContext;
use crate::guests::disks::Disk;
use crate::qemu::disk_snapshots::{Change, delete_disk_snapshots, leave_disks};

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
    /// Whether the guest, which executes, may be paused for a moment.
    #[serde(default)]
    pauses: bool,
}

impl QemuDelsnapshot {
    pub fn new(vmid: VmId, name: String, force: bool) -> Self {
        Self {
            vmid,
            name,
            force,
            disks: Vec::new(),
            memory: None,
            pauses: false,
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
        check_deletion(guest, &self.name)
    }
}

type Cx = TaskContext<NodeContext>;

#[async_trait]
impl DeletesSnapshot for QemuDelsnapshot {
    fn snapshot(&self) -> &str {
        &self.name
    }

    fn force(&self) -> bool {
        self.force
    }

    fn choose(&mut self, disks: Vec<Disk>, snapshot: &Snapshot) {
        self.disks = disks;
        self.memory = snapshot.memory.as_ref().map(|memory| memory.volume.clone());
    }

    async fn delete_disks(&self, cx: &Cx) -> Result<(), Error> {
        let what = (self.name.as_str(), Change::Deleting);
        delete_disk_snapshots(cx, self.vmid, &self.disks, what).await
    }

    async fn choose_more(&mut self, cx: &Cx) -> Result<(), Error> {
        // A snapshot of a guest that does not answer can still be forgotten.
        let found = cx.node.may_pause(self.vmid, &self.disks).await;
        self.pauses = found.unwrap_or(false);
        Ok(())
    }

    async fn leave_disks(&self, cx: &Cx) -> Result<(), Error> {
        let what = (self.name.as_str(), Change::Deleting);
        leave_disks(cx, self.vmid, &self.disks, what, self.pauses).await
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
