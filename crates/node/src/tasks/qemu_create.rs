//! Makes a virtual machine.
//!
//! ```text
//!   reserve ─ allocate ─ publish ┃ join-pool ─► qemu_start, if wanted
//!   the id    the disks  the configuration; from then on it is a guest
//! ```

use async_trait::async_trait;
use auth::edit::pools;
use model::{Busy, Error, GuestConfig, GuestKind, GuestRecord, PoolId, Record, VmId};
use serde::{Deserialize, Serialize};
use store::{Commit, Precondition, StoreError};
use tasks::{FollowUp, Probe, Step, Task, TaskContext};

use super::allocate::{Allocate, Allocates};
use super::{QemuStart, guest_object};
use crate::edit::Edit;
use crate::{World, guest_key};

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct QemuCreate {
    pub vmid: VmId,
    pub edit: Edit,
    /// The pool that it becomes a member of.
    pub pool: Option<PoolId>,
    /// Start it right afterwards.
    pub start: bool,
}

impl Task for QemuCreate {
    type World = World;
    const NAME: &'static str = "qemu_create";
    const VERSION: u32 = 1;
    const KIND: &'static str = "qmcreate";
    const POINT_OF_NO_RETURN: usize = 3;

    fn steps() -> &'static [&'static dyn Step<Self>] {
        &[&Reserve, &Allocate, &Publish, &JoinPool]
    }

    fn object(&self) -> Option<String> {
        Some(guest_object(self.vmid))
    }

    fn follow_up(&self) -> Option<FollowUp<World>> {
        let task = QemuStart::new(self.vmid, None, false);
        self.start.then(|| {
            let submit: FollowUp<World> =
                Box::new(move |engine, submission| Box::pin(engine.submit(submission, task)));
            submit
        })
    }
}

impl Allocates for QemuCreate {
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

/// Whether the guest's record is there and marked by this task.
async fn is_reserved(cx: &Cx, vmid: VmId) -> Result<bool, Error> {
    match cx.world.records.is_claimed(vmid, &cx.upid).await {
        Err(error) if error.kind == model::ErrorKind::NotFound => Ok(false),
        result => result,
    }
}

/// Takes the id, for the whole cluster.
struct Reserve;

#[async_trait]
impl Step<QemuCreate> for Reserve {
    fn name(&self) -> &'static str {
        "reserve"
    }

    async fn probe(&self, cx: &Cx, task: &mut QemuCreate) -> Result<Probe, Error> {
        let reserved = is_reserved(cx, task.vmid).await?;
        Ok(if reserved {
            Probe::Done
        } else {
            Probe::NotDone
        })
    }

    async fn act(&self, cx: &Cx, task: &mut QemuCreate) -> Result<(), Error> {
        let node = cx.world.node.clone();
        let upid = cx.upid.clone();
        let busy = Busy {
            upid,
            node: node.clone(),
            epoch: 1,
            shown_as: "create".to_owned(),
        };
        let guest = GuestRecord {
            vmid: task.vmid,
            kind: GuestKind::Qemu,
            node,
            epoch: 1,
            busy: Some(busy),
            config: GuestConfig::default(),
            pending: Default::default(),
            snapshots: Default::default(),
            suspended: None,
            created: cx.clock.wall(),
        };
        let record = Record::new(guest)
            .encode()
            .map_err(|e| Error::bug(Error::chain(&e)))?;
        let key = guest_key(task.vmid);
        let commit = Commit::new()
            .when(Precondition::Absent(key.clone()))
            .put(key, record);
        match cx.world.records.store().commit(commit).await {
            Ok(revision) => {
                cx.committed(revision.0);
                Ok(())
            }
            Err(StoreError::Conflict { .. }) => {
                let taken = cx.world.records.guest(task.vmid).await?.record.data;
                Err(already_exists(task.vmid, &taken))
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn undo(&self, cx: &Cx, task: &QemuCreate) -> Result<(), Error> {
        cx.world.records.delete_guest(task.vmid, &cx.upid).await
    }
}

/// What a caller is told who wants an id that is taken.
pub fn already_exists(vmid: VmId, taken: &GuestRecord) -> Error {
    let node = &taken.node;
    Error::conflict(format!(
        "unable to create VM {vmid} - VM {vmid} already exists on node '{node}'"
    ))
}

struct Publish;

#[async_trait]
impl Step<QemuCreate> for Publish {
    fn name(&self) -> &'static str {
        "publish"
    }

    async fn probe(&self, cx: &Cx, task: &mut QemuCreate) -> Result<Probe, Error> {
        let reserved = is_reserved(cx, task.vmid).await?;
        Ok(if reserved {
            Probe::NotDone
        } else {
            Probe::Done
        })
    }

    async fn act(&self, cx: &Cx, task: &mut QemuCreate) -> Result<(), Error> {
        let revision = cx
            .world
            .records
            .change_guest(task.vmid, |guest| {
                guest.config.0 = task.edit.set.clone();
                guest.busy = None;
                Ok(())
            })
            .await?;
        cx.committed(revision.0);
        Ok(())
    }

    async fn undo(&self, cx: &Cx, task: &QemuCreate) -> Result<(), Error> {
        // A commit whose outcome was unknown may have happened: then the record lost its mark,
        // and it must be ours again before `Reserve` deletes it.
        let records = &cx.world.records;
        match records.claim(task.vmid, &cx.upid, "create").await {
            Err(error) if error.kind == model::ErrorKind::NotFound => Ok(()),
            result => result.map(|_| ()),
        }
    }
}

struct JoinPool;

#[async_trait]
impl Step<QemuCreate> for JoinPool {
    fn name(&self) -> &'static str {
        "join-pool"
    }

    async fn probe(&self, _: &Cx, _: &mut QemuCreate) -> Result<Probe, Error> {
        Ok(Probe::NotDone)
    }

    async fn act(&self, cx: &Cx, task: &mut QemuCreate) -> Result<(), Error> {
        let Some(pool) = &task.pool else {
            return Ok(());
        };
        let vmid = task.vmid.get();
        match cx
            .world
            .authority
            .change(|access| pools::join(access, pool, vmid))
            .await
        {
            Ok(revision) => cx.committed(revision.0),
            // A pool that was deleted meanwhile is no reason to lose the guest.
            Err(error) if !matches!(error, auth::AccessError::Store(_)) => {
                cx.warn(&format!("the guest is in no pool: {error}")).await;
            }
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    async fn undo(&self, _: &Cx, _: &QemuCreate) -> Result<(), Error> {
        Ok(())
    }
}
