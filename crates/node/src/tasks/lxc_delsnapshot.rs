//! Deletes a snapshot of a container.
//!
//! ```text
//!   claim ─ mark ─ delete-disks ─ forget ┃ release
//!            │                           ┃ point of no return: it is in no record
//!            from here on it is shown as incomplete
//! ```

use async_trait::async_trait;
use model::{Error, GuestRecord, Snapshot, VmId};
use serde::{Deserialize, Serialize};
use tasks::{Steps, Task, TaskContext};

use super::claim::{Claim, Claims, Release};
use super::delete_snapshot::{DeleteDisks, DeletesSnapshot, Forget, Mark, check_deletion};
use super::guest_object;
use crate::NodeContext;
use crate::guests::disks::Disk;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LxcDelsnapshot {
    pub vmid: VmId,
    pub name: String,
    /// Forget the snapshot also where disks cannot be reached.
    pub force: bool,
    /// Found by `mark`.
    #[serde(default)]
    disks: Vec<Disk>,
}

impl LxcDelsnapshot {
    pub fn new(vmid: VmId, name: String, force: bool) -> Self {
        Self {
            vmid,
            name,
            force,
            disks: Vec::new(),
        }
    }
}

impl Task for LxcDelsnapshot {
    type Node = NodeContext;
    const NAME: &'static str = "lxc_delsnapshot";
    const VERSION: u32 = 1;
    const KIND: &'static str = "vzdelsnapshot";
    const ON_FULL_DISK: bool = true;

    fn steps() -> Steps<Self> {
        Steps {
            before: &[&Claim, &Mark, &DeleteDisks, &Forget],
            after: &[&Release],
        }
    }

    fn object(&self) -> Option<String> {
        Some(guest_object(self.vmid))
    }
}

impl Claims for LxcDelsnapshot {
    const SHOWN_AS: &'static str = "snapshot-delete";

    fn vmid(&self) -> VmId {
        self.vmid
    }

    fn check(&self, guest: &GuestRecord) -> Result<(), Error> {
        check_deletion(guest, &self.name)
    }
}

#[async_trait]
impl DeletesSnapshot for LxcDelsnapshot {
    fn snapshot(&self) -> &str {
        &self.name
    }

    fn force(&self) -> bool {
        self.force
    }

    fn choose(&mut self, disks: Vec<Disk>, _: &Snapshot) {
        self.disks = disks;
    }

    async fn delete_disks(&self, cx: &TaskContext<NodeContext>) -> Result<(), Error> {
        cx.node.delete_by_storage(&self.disks, &self.name).await
    }
}
