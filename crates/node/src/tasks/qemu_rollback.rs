//! Makes a virtual machine what it was at a snapshot.
//!
//! ```text
//!   claim ─ check ┃ roll-back-disks ─ apply ─ release ─► qemu_start, with memory or if wanted
//!                 ┃ point of no return: what the guest has written since is given up
//! ```

use async_trait::async_trait;
use model::{Error, GuestRecord, SavedMemory, Snapshot, VmId, VolumeId};
use serde::{Deserialize, Serialize};
use tasks::{FollowUp, Steps, Task, TaskContext};

use super::claim::{Claim, Claims, Release};
use super::roll_back::{Apply, Check, RollBackDisks, RollsBack, check_snapshot};
use super::{QemuStart, guest_object};
use crate::guests::disks::Disk;
use crate::{NodeContext, volumes};

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct QemuRollback {
    pub vmid: VmId,
    pub name: String,
    /// Start the guest afterwards, also without saved memory.
    pub start: bool,
    /// Found by `check`.
    #[serde(default)]
    disks: Vec<Disk>,
    #[serde(default)]
    memory: Option<SavedMemory>,
    /// Volumes that are unused afterwards, found by `apply`.
    #[serde(default)]
    unwanted: Vec<VolumeId>,
}

impl QemuRollback {
    pub fn new(vmid: VmId, name: String, start: bool) -> Self {
        Self {
            vmid,
            name,
            start,
            disks: Vec::new(),
            memory: None,
            unwanted: Vec::new(),
        }
    }
}

impl Task for QemuRollback {
    type Node = NodeContext;
    const NAME: &'static str = "qemu_rollback";
    const VERSION: u32 = 1;
    const KIND: &'static str = "qmrollback";

    fn steps() -> Steps<Self> {
        Steps {
            before: &[&Claim, &Check],
            after: &[&RollBackDisks, &Apply, &Release],
        }
    }

    fn object(&self) -> Option<String> {
        Some(guest_object(self.vmid))
    }

    fn follow_up(&self) -> Option<FollowUp<NodeContext>> {
        let task = match &self.memory {
            Some(memory) => QemuStart::with_memory(self.vmid, self.name.clone(), memory.clone()),
            None => QemuStart::new(self.vmid, None, false),
        };
        (self.start || self.memory.is_some()).then(|| {
            let submit: FollowUp<NodeContext> =
                Box::new(move |engine, submission| Box::pin(engine.submit(submission, task)));
            submit
        })
    }
}

impl Claims for QemuRollback {
    const SHOWN_AS: &'static str = "rollback";

    fn vmid(&self) -> VmId {
        self.vmid
    }

    fn check(&self, guest: &GuestRecord) -> Result<(), Error> {
        check_snapshot(guest, &self.name)
    }
}

#[async_trait]
impl RollsBack for QemuRollback {
    fn snapshot(&self) -> &str {
        &self.name
    }

    fn disks(&self) -> &[Disk] {
        &self.disks
    }

    fn set_disks(&mut self, disks: Vec<Disk>) {
        self.disks = disks;
    }

    fn unwanted(&self) -> &[VolumeId] {
        &self.unwanted
    }

    fn set_unwanted(&mut self, unwanted: Vec<VolumeId>) {
        self.unwanted = unwanted;
    }

    async fn check_more(
        &mut self,
        cx: &TaskContext<NodeContext>,
        snapshot: &Snapshot,
    ) -> Result<(), Error> {
        self.memory = snapshot.memory.clone();
        if let Some(memory) = &self.memory {
            let volume = &memory.volume;
            let storage = cx.node.storage(volume.storage()).await?;
            volumes::info_of(&*storage, volume).await?;
        }
        Ok(())
    }
}
