//! The steps that make a guest out of nothing: its id, its options, its pool.

use async_trait::async_trait;
use auth::edit::pools;
use model::{Busy, Error, GuestConfig, GuestKind, GuestRecord, PoolId, Record, VmId};
use store::{Commit, Precondition, StoreError};
use tasks::{FollowUp, Probe, Step, Task, TaskContext};

use super::QemuStart;
use super::bases::NewTemplate;
use super::delete_snapshot::snapshot_of;
use crate::tiers::Class;
use crate::{NodeContext, guest_key};

/// A task that makes a guest.
pub(super) trait NewGuest: Task<Node = NodeContext> {
    /// What Proxmox VE shows as `lock` meanwhile.
    const SHOWN_AS: &'static str;

    const GUEST: GuestKind = GuestKind::Qemu;

    fn vmid(&self) -> VmId;

    /// What the guest will be, once everything that it names is there.
    fn options(&self) -> GuestConfig;

    /// The pool that it becomes a member of.
    fn pool(&self) -> Option<&PoolId>;

    /// Set where it is a template from its beginning.
    fn template(&self) -> Option<&NewTemplate> {
        None
    }

    fn template_mut(&mut self) -> Option<&mut NewTemplate> {
        None
    }
}

/// What is copied, and whether it is a template.
pub(super) fn original(
    guest: &GuestRecord,
    snapshot: Option<&str>,
) -> Result<(GuestConfig, bool), Error> {
    let is_template = guest.config.flag("template") == Some(true);
    let Some(name) = snapshot else {
        return Ok((guest.config.clone(), is_template));
    };
    let snapshot = snapshot_of(guest, name)?;
    if snapshot.state.is_some() {
        return Err(Error::conflict(format!("snapshot '{name}' is incomplete")));
    }
    let mut config = snapshot.config.clone();
    if let Some(description) = &snapshot.description {
        config.set("description", description.as_str());
    }
    Ok((config, false))
}

type Cx = TaskContext<NodeContext>;

/// Says what the guest will be, for the drivers that make its volumes.
pub(super) fn announce<T: NewGuest>(cx: &Cx, task: &T) {
    let class = Class {
        tags: task.options().text("tags").unwrap_or_default(),
        pool: task.pool().cloned(),
    };
    cx.node.tiers.expect(task.vmid(), class);
}

/// Whether the guest's record is there and marked by this task.
async fn is_reserved(cx: &Cx, vmid: VmId) -> Result<bool, Error> {
    match cx.node.records.is_claimed(vmid, &cx.upid).await {
        Err(error) if error.kind == model::ErrorKind::NotFound => Ok(false),
        result => result,
    }
}

/// Takes the id, for the whole cluster.
pub(super) struct Reserve;

#[async_trait]
impl<T: NewGuest> Step<T> for Reserve {
    fn name(&self) -> &'static str {
        "reserve"
    }

    async fn probe(&self, cx: &Cx, task: &mut T) -> Result<Probe, Error> {
        let reserved = is_reserved(cx, task.vmid()).await?;
        Ok(if reserved {
            Probe::Done
        } else {
            Probe::NotDone
        })
    }

    async fn act(&self, cx: &Cx, task: &mut T) -> Result<(), Error> {
        let node = cx.node.name.clone();
        let upid = cx.upid.clone();
        let busy = Busy {
            upid,
            node: node.clone(),
            epoch: 1,
            shown_as: T::SHOWN_AS.to_owned(),
        };
        let guest = GuestRecord {
            busy: Some(busy),
            ..GuestRecord::new(task.vmid(), T::GUEST, node, cx.clock.wall())
        };
        let record = Record::new(guest)
            .encode()
            .map_err(|e| Error::bug(Error::chain(&e)))?;
        let key = guest_key(task.vmid());
        let commit = Commit::new()
            .when(Precondition::Absent(key.clone()))
            .put(key, record);
        match cx.node.records.store().commit(commit).await {
            Ok(revision) => {
                cx.committed(revision.0);
                announce(cx, task);
                Ok(())
            }
            Err(StoreError::Conflict { .. }) => {
                // One that is gone again was there when this commit was refused.
                let gone = || {
                    Error::conflict(format!(
                        "{} {} is being changed",
                        T::GUEST.word(),
                        task.vmid()
                    ))
                };
                let taken = cx.node.records.find(task.vmid()).await?.ok_or_else(gone)?;
                Err(already_exists(T::GUEST, task.vmid(), &taken.record.data))
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn undo(&self, cx: &Cx, task: &T) -> Result<(), Error> {
        cx.node.tiers.forget(task.vmid());
        cx.node.records.delete_guest(task.vmid(), &cx.upid).await
    }
}

/// The error for an id that is taken.
pub fn already_exists(new: GuestKind, vmid: VmId, taken: &GuestRecord) -> Error {
    let (node, word) = (&taken.node, taken.kind.word());
    let exists = format!("{word} {vmid} already exists on node '{node}'");
    Error::conflict(match new {
        GuestKind::Qemu => format!("unable to create VM {vmid} - {exists}"),
        GuestKind::Lxc => exists,
    })
}

/// The record gets its options; from then on it is a guest.
pub(super) struct Publish;

#[async_trait]
impl<T: NewGuest> Step<T> for Publish {
    fn name(&self) -> &'static str {
        "publish"
    }

    async fn probe(&self, cx: &Cx, task: &mut T) -> Result<Probe, Error> {
        let reserved = is_reserved(cx, task.vmid()).await?;
        Ok(if reserved {
            Probe::NotDone
        } else {
            Probe::Done
        })
    }

    async fn act(&self, cx: &Cx, task: &mut T) -> Result<(), Error> {
        let revision = cx
            .node
            .records
            .change_guest(task.vmid(), |guest| {
                guest.config = task.options();
                guest.busy = None;
                match task.template() {
                    Some(template) => template.convert(&mut guest.config),
                    None => Ok(()),
                }
            })
            .await?;
        cx.committed(revision.0);
        Ok(())
    }

    async fn undo(&self, cx: &Cx, task: &T) -> Result<(), Error> {
        // A commit whose outcome was unknown may have happened: then the record lost its mark,
        // and it must be ours again before `Reserve` deletes it.
        let records = &cx.node.records;
        match records.claim(task.vmid(), &cx.upid, T::SHOWN_AS).await {
            Err(error) if error.kind == model::ErrorKind::NotFound => Ok(()),
            result => result.map(|_| ()),
        }
    }
}

/// The start of a virtual machine once it is made.
pub(super) fn start_of(vmid: VmId) -> FollowUp<NodeContext> {
    let task = QemuStart::new(vmid, None, false);
    Box::new(move |engine, submission| Box::pin(engine.submit(submission, task)))
}

pub(super) struct JoinPool;

#[async_trait]
impl<T: NewGuest> Step<T> for JoinPool {
    fn name(&self) -> &'static str {
        "join-pool"
    }

    async fn act(&self, cx: &Cx, task: &mut T) -> Result<(), Error> {
        let Some(pool) = task.pool() else {
            cx.node.tiers.forget(task.vmid());
            return Ok(());
        };
        let vmid = task.vmid().get();
        match cx
            .node
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
        cx.node.tiers.forget(task.vmid());
        Ok(())
    }
}
