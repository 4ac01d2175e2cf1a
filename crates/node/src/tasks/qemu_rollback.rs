//! Makes a virtual machine what it was at a snapshot.
//!
//! ```text
//!   claim ─ check ┃ roll-back-disks ─ apply ─ release ─► qemu_start, with memory or if wanted
//!                 ┃ point of no return: what the guest has written since is given up
//! ```

use async_trait::async_trait;
use guest::qemu::VmConfig;
use model::{Error, GuestRecord, SavedMemory, VmId, VolumeId};
use serde::{Deserialize, Serialize};
use tasks::{FollowUp, Probe, Step, Steps, Task, TaskContext};

use super::claim::{Claim, Claims, Release, check_lock};
use super::qemu_delsnapshot::snapshot_of;
use super::volume_delete::free_unwanted;
use super::{QemuStart, guest_object};
use crate::qemu::disk_snapshots::{Disk, disks};
use crate::qemu::edit::return_to;
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
        let snapshot = snapshot_of(guest, &self.name)?;
        if let Some(state) = snapshot.state {
            let state = state.as_str();
            return Err(Error::conflict(format!(
                "unable to rollback to incomplete snapshot (snapstate = {state})"
            )));
        }
        if guest.config.flag("template") == Some(true) {
            return Err(Error::conflict("unable to rollback a template"));
        }
        check_lock(guest, false)
    }
}

type Cx = TaskContext<NodeContext>;

/// Makes sure that everything that the guest is to be made of is there.
struct Check;

#[async_trait]
impl Step<QemuRollback> for Check {
    fn name(&self) -> &'static str {
        "check"
    }

    async fn plan(&self, cx: &Cx, task: &mut QemuRollback) -> Result<(), Error> {
        let guest = cx.node.records.qemu(task.vmid).await?.record.data;
        let snapshot = snapshot_of(&guest, &task.name)?;
        let config = VmConfig::parse(&snapshot.config).map_err(Error::invalid_fields)?;
        task.disks = disks(&cx.node, &config).await?;
        task.memory = snapshot.memory.clone();
        cx.node.check_roll_back(&task.disks, &task.name).await?;
        if let Some(memory) = &task.memory {
            let volume = &memory.volume;
            let storage = cx.node.storage(volume.storage()).await?;
            volumes::info_of(&*storage, volume).await?;
        }
        Ok(())
    }

    async fn probe(&self, _: &Cx, _: &mut QemuRollback) -> Result<Probe, Error> {
        Ok(Probe::Done)
    }

    async fn act(&self, _: &Cx, _: &mut QemuRollback) -> Result<(), Error> {
        Ok(())
    }
}

/// Ends the guest, as pulling its plug would: what it would still write is given up anyway.
struct RollBackDisks;

#[async_trait]
impl Step<QemuRollback> for RollBackDisks {
    fn name(&self) -> &'static str {
        "roll-back-disks"
    }

    async fn act(&self, cx: &Cx, task: &mut QemuRollback) -> Result<(), Error> {
        cx.node.remove_traces(task.vmid).await?;
        for (slot, volume) in &task.disks {
            cx.log(&format!("rolling back '{slot}' ({volume})")).await;
        }
        cx.node.roll_back_disks(&task.disks, &task.name).await
    }
}

/// Makes the options what they were.
struct Apply;

#[async_trait]
impl Step<QemuRollback> for Apply {
    fn name(&self) -> &'static str {
        "apply"
    }

    async fn plan(&self, cx: &Cx, task: &mut QemuRollback) -> Result<(), Error> {
        let mut guest = cx.node.records.qemu(task.vmid).await?.record.data;
        let names = cx.node.records.volume_names().await?;
        task.unwanted = return_to(&mut guest, &task.name, &names).unwanted;
        Ok(())
    }

    async fn act(&self, cx: &Cx, task: &mut QemuRollback) -> Result<(), Error> {
        let names = cx.node.records.volume_names().await?;
        let apply = |guest: &mut GuestRecord| {
            return_to(guest, &task.name, &names);
            Ok(())
        };
        let revision = cx.node.records.change_guest(task.vmid, apply).await?;
        cx.committed(revision.0);
        for volume in &task.unwanted {
            free_unwanted(cx, volume).await?;
        }
        Ok(())
    }
}
