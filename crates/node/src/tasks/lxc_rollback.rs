//! Makes a container what it was at a snapshot.
//!
//! ```text
//!   claim ─ check ┃ roll-back-disks ─ clear-marks ─ apply ─ release ─► lxc_start, if wanted
//!                 ┃ point of no return: what the container has written since is given up
//! ```

use async_trait::async_trait;
use model::{Error, GuestRecord, VmId, VolumeId};
use serde::{Deserialize, Serialize};
use storage::ContentType;
use tasks::{FollowUp, Step, Steps, Task, TaskContext};

use super::claim::{Claim, Claims, Release};
use super::file_systems::clear_mark;
use super::roll_back::{Apply, Check, RollBackDisks, RollsBack, check_snapshot};
use super::{LxcStart, guest_object};
use crate::NodeContext;
use crate::guests::disks::Disk;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LxcRollback {
    pub vmid: VmId,
    pub name: String,
    /// Start the container afterwards.
    pub start: bool,
    /// Found by `check`.
    #[serde(default)]
    disks: Vec<Disk>,
    /// Volumes that are unused afterwards, found by `apply`.
    #[serde(default)]
    unwanted: Vec<VolumeId>,
}

impl LxcRollback {
    pub fn new(vmid: VmId, name: String, start: bool) -> Self {
        Self {
            vmid,
            name,
            start,
            disks: Vec::new(),
            unwanted: Vec::new(),
        }
    }
}

impl Task for LxcRollback {
    type Node = NodeContext;
    const NAME: &'static str = "lxc_rollback";
    const VERSION: u32 = 2;
    const KIND: &'static str = "vzrollback";

    fn steps() -> Steps<Self> {
        Steps {
            before: &[&Claim, &Check],
            after: &[&RollBackDisks, &ClearMarks, &Apply, &Release],
        }
    }

    fn object(&self) -> Option<String> {
        Some(guest_object(self.vmid))
    }

    fn follow_up(&self) -> Option<FollowUp<NodeContext>> {
        let task = LxcStart::new(self.vmid, false, false);
        self.start.then(|| {
            let submit: FollowUp<NodeContext> =
                Box::new(move |engine, submission| Box::pin(engine.submit(submission, task)));
            submit
        })
    }
}

impl Claims for LxcRollback {
    const SHOWN_AS: &'static str = "rollback";

    fn vmid(&self) -> VmId {
        self.vmid
    }

    fn check(&self, guest: &GuestRecord) -> Result<(), Error> {
        check_snapshot(guest, &self.name)
    }
}

impl RollsBack for LxcRollback {
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
}

/// The images are as they were when they were mounted, and nothing has them mounted now.
struct ClearMarks;

#[async_trait]
impl Step<LxcRollback> for ClearMarks {
    fn name(&self) -> &'static str {
        "clear-marks"
    }

    async fn act(
        &self,
        cx: &TaskContext<NodeContext>,
        task: &mut LxcRollback,
    ) -> Result<(), Error> {
        for (_, volume) in &task.disks {
            let storage = cx.node.storage(volume.storage()).await?;
            if storage.config().parse(volume.name())?.content != ContentType::Rootdir {
                clear_mark(cx, volume).await?;
            }
        }
        Ok(())
    }
}
