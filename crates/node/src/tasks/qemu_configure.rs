//! Changes a virtual machine's configuration.

use async_trait::async_trait;
use model::{Error, GuestRecord, VmId, VolumeId};
use serde::{Deserialize, Serialize};
use tasks::{Probe, Step, Task, TaskContext};

use super::allocate::{Allocate, Allocates};
use super::claim::{Claim, Claims, Release, check_digest, check_lock};
use super::guest_object;
use crate::World;
use crate::edit::Edit;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct QemuConfigure {
    pub vmid: VmId,
    pub edit: Edit,
    /// The configuration that the caller knew; another one is not changed.
    pub digest: Option<String>,
    pub skip_lock: bool,
    /// Volumes to be removed, found by `apply`.
    #[serde(default)]
    unwanted: Vec<VolumeId>,
}

impl QemuConfigure {
    pub fn new(vmid: VmId, edit: Edit, digest: Option<String>, skip_lock: bool) -> Self {
        Self {
            vmid,
            edit,
            digest,
            skip_lock,
            unwanted: Vec::new(),
        }
    }
}

impl Task for QemuConfigure {
    type World = World;
    const NAME: &'static str = "qemu_configure";
    const VERSION: u32 = 1;
    const KIND: &'static str = "qmconfig";
    const POINT_OF_NO_RETURN: usize = 3;

    fn steps() -> &'static [&'static dyn Step<Self>] {
        &[&Claim, &Allocate, &Apply, &RemoveUnwanted, &Release]
    }

    fn object(&self) -> Option<String> {
        Some(guest_object(self.vmid))
    }
}

impl Claims for QemuConfigure {
    const SHOWN_AS: &'static str = "";

    fn vmid(&self) -> VmId {
        self.vmid
    }

    fn check(&self, guest: &GuestRecord) -> Result<(), Error> {
        check_digest(guest, self.digest.as_deref())?;
        let unlocks = self.edit.delete.iter().any(|name| name == "lock");
        check_lock(guest, self.skip_lock || unlocks)
    }
}

impl Allocates for QemuConfigure {
    fn owner(&self) -> VmId {
        self.vmid
    }

    fn edit(&self) -> &Edit {
        &self.edit
    }

    fn edit_mut(&mut self) -> &mut Edit {
        &mut self.edit
    }
}

type Cx = TaskContext<World>;

/// One commit: what can take effect now does, the rest waits.
struct Apply;

#[async_trait]
impl Step<QemuConfigure> for Apply {
    fn name(&self) -> &'static str {
        "apply"
    }

    async fn plan(&self, cx: &Cx, task: &mut QemuConfigure) -> Result<(), Error> {
        // What the commit will make unwanted is written down before it: afterwards the record
        // no longer tells.
        let is_running = cx.world.running.is_running(task.vmid).await?;
        let mut guest = cx.world.records.guest(task.vmid).await?.record.data;
        task.unwanted = task.edit.apply(&mut guest, is_running).unwanted;
        Ok(())
    }

    async fn probe(&self, cx: &Cx, task: &mut QemuConfigure) -> Result<Probe, Error> {
        let is_running = cx.world.running.is_running(task.vmid).await?;
        let before = cx.world.records.guest(task.vmid).await?.record.data;
        let mut after = before.clone();
        task.edit.apply(&mut after, is_running);
        Ok(if after == before {
            Probe::Done
        } else {
            Probe::NotDone
        })
    }

    async fn act(&self, cx: &Cx, task: &mut QemuConfigure) -> Result<(), Error> {
        let is_running = cx.world.running.is_running(task.vmid).await?;
        let change = |guest: &mut GuestRecord| {
            task.edit.apply(guest, is_running);
            Ok(())
        };
        let revision = cx.world.records.change_guest(task.vmid, change).await?;
        cx.committed(revision.0);
        Ok(())
    }

    async fn undo(&self, _: &Cx, _: &QemuConfigure) -> Result<(), Error> {
        Ok(())
    }
}

/// Volumes that were to go with their drive.
struct RemoveUnwanted;

#[async_trait]
impl Step<QemuConfigure> for RemoveUnwanted {
    fn name(&self) -> &'static str {
        "remove-unwanted"
    }

    async fn probe(&self, _: &Cx, _: &mut QemuConfigure) -> Result<Probe, Error> {
        Ok(Probe::NotDone)
    }

    async fn act(&self, cx: &Cx, task: &mut QemuConfigure) -> Result<(), Error> {
        for volume in &task.unwanted {
            cx.world
                .storage(volume.storage())
                .await?
                .free(volume.name())
                .await?;
            cx.log(&format!("removed volume '{volume}'")).await;
        }
        Ok(())
    }

    async fn undo(&self, _: &Cx, _: &QemuConfigure) -> Result<(), Error> {
        Ok(())
    }
}
