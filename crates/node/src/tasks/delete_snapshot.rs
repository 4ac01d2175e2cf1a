//! The steps that delete a snapshot of a guest, of whatever kind it is.
//!
//! What was deleted does not come back: broken off, the snapshot stays marked and can be deleted
//! again, and cannot be rolled back to.

use async_trait::async_trait;
use model::{Error, GuestRecord, Snapshot, SnapshotState};
use tasks::{Probe, Step, TaskContext};

use super::claim::{Claims, check_lock};
use crate::NodeContext;
use crate::guests::disks::{Disk, disks_of};

type Cx = TaskContext<NodeContext>;

/// A task that deletes a snapshot.
#[async_trait]
pub(super) trait DeletesSnapshot: Claims {
    fn snapshot(&self) -> &str;

    /// Whether the snapshot is forgotten also where disks cannot be reached.
    fn force(&self) -> bool;

    /// Keeps what is to be deleted.
    fn choose(&mut self, disks: Vec<Disk>, snapshot: &Snapshot);

    /// What else is chosen, once the disks are.
    async fn choose_more(&mut self, _cx: &Cx) -> Result<(), Error> {
        Ok(())
    }

    /// Deletes the snapshots of the disks. May be repeated.
    async fn delete_disks(&self, cx: &Cx) -> Result<(), Error>;

    /// Makes the guest go on where deleting was broken off.
    async fn leave_disks(&self, _cx: &Cx) -> Result<(), Error> {
        Ok(())
    }

    /// With `force`, errors are logged and ignored.
    async fn tolerate(&self, cx: &Cx, result: Result<(), Error>) -> Result<(), Error> {
        match result {
            Err(error) if self.force() => {
                cx.warn(&format!("left behind: {error}")).await;
                Ok(())
            }
            result => result,
        }
    }
}

/// A guest's snapshot, in the words of Proxmox VE where there is none.
pub fn snapshot_of<'a>(guest: &'a GuestRecord, name: &str) -> Result<&'a Snapshot, Error> {
    let none = || Error::not_found(format!("snapshot '{name}' does not exist"));
    guest.snapshots.get(name).ok_or_else(none)
}

pub(super) fn check_deletion(guest: &GuestRecord, name: &str) -> Result<(), Error> {
    snapshot_of(guest, name)?;
    check_lock(guest, false)
}

pub(super) struct Mark;

#[async_trait]
impl<T: DeletesSnapshot> Step<T> for Mark {
    fn name(&self) -> &'static str {
        "mark"
    }

    async fn plan(&self, cx: &Cx, task: &mut T) -> Result<(), Error> {
        let guest = cx.node.records.guest(task.vmid()).await?.record.data;
        let snapshot = snapshot_of(&guest, task.snapshot())?;
        let disks = disks_of(guest.kind, &snapshot.config)?;
        task.choose(disks, snapshot);
        task.choose_more(cx).await
    }

    async fn act(&self, cx: &Cx, task: &mut T) -> Result<(), Error> {
        let mark = |guest: &mut GuestRecord| {
            if let Some(snapshot) = guest.snapshots.get_mut(task.snapshot()) {
                snapshot.state = Some(SnapshotState::Delete);
            }
            Ok(())
        };
        let revision = cx.node.records.change_guest(task.vmid(), mark).await?;
        cx.committed(revision.0);
        Ok(())
    }
}

pub(super) struct DeleteDisks;

#[async_trait]
impl<T: DeletesSnapshot> Step<T> for DeleteDisks {
    fn name(&self) -> &'static str {
        "delete-disks"
    }

    async fn act(&self, cx: &Cx, task: &mut T) -> Result<(), Error> {
        let deleted = task.delete_disks(cx).await;
        if deleted.is_err() && task.force() {
            // What is left behind must not be what the guest writes to under another name.
            task.leave_disks(cx).await?;
        }
        task.tolerate(cx, deleted).await
    }

    async fn undo(&self, cx: &Cx, task: &T) -> Result<(), Error> {
        task.leave_disks(cx).await
    }
}

/// Takes the snapshot out of the record; those that followed it follow its parent.
pub(super) struct Forget;

#[async_trait]
impl<T: DeletesSnapshot> Step<T> for Forget {
    fn name(&self) -> &'static str {
        "forget"
    }

    async fn probe(&self, cx: &Cx, task: &mut T) -> Result<Probe, Error> {
        let guest = cx.node.records.guest(task.vmid()).await?.record.data;
        Ok(if guest.snapshots.contains_key(task.snapshot()) {
            Probe::NotDone
        } else {
            Probe::Done
        })
    }

    async fn act(&self, cx: &Cx, task: &mut T) -> Result<(), Error> {
        let name = task.snapshot();
        let forget = |guest: &mut GuestRecord| {
            let Some(gone) = guest.snapshots.remove(name) else {
                return Ok(());
            };
            for snapshot in guest.snapshots.values_mut() {
                if snapshot.parent.as_deref() == Some(name) {
                    snapshot.parent = gone.parent.clone();
                }
            }
            if guest.config.text("parent").as_deref() == Some(name) {
                match &gone.parent {
                    Some(parent) => guest.config.set("parent", parent.clone()),
                    None => drop(guest.config.0.remove("parent")),
                }
            }
            Ok(())
        };
        let revision = cx.node.records.change_guest(task.vmid(), forget).await?;
        cx.committed(revision.0);
        Ok(())
    }
}
