//! The first and last step of tasks that work on a guest's record: marking it, unmarking it.

use async_trait::async_trait;
use model::{Error, GuestKind, GuestRecord, VmId};
use tasks::{Probe, Step, Task, TaskContext};

use crate::{NodeContext, digest};

/// A task that marks a guest as worked on.
pub(super) trait Claims: Task<Node = NodeContext> {
    fn vmid(&self) -> VmId;

    /// What Proxmox VE shows as `lock` meanwhile; empty for nothing.
    const SHOWN_AS: &'static str;

    /// What must hold of the record before the task begins.
    fn check(&self, guest: &GuestRecord) -> Result<(), Error>;
}

/// The lock of a container whose file systems the host has mounted.
pub(super) const MOUNTED: &str = "mounted";

/// Refuses a locked guest. The lock of a container that is mounted on its host counts always: it goes
/// with the mount.
pub fn check_lock(guest: &GuestRecord, skip: bool) -> Result<(), Error> {
    match guest.config.text("lock") {
        Some(lock) if skip && lock == MOUNTED && matches!(guest.kind, GuestKind::Lxc) => {
            let text = format!("CT is locked ({lock}), use 'pct unmount {}'", guest.vmid);
            Err(Error::conflict(text))
        }
        Some(lock) if !skip => {
            let word = guest.kind.word();
            Err(Error::conflict(format!("{word} is locked ({lock})")))
        }
        _ => Ok(()),
    }
}

/// Refuses a configuration that is not the one which the caller knew. Who says nothing knows none.
pub fn check_digest(guest: &GuestRecord, known: Option<&str>) -> Result<(), Error> {
    let mut known = known.into_iter();
    if known.any(|known| !known.is_empty() && known != digest(guest)) {
        return Err(Error::conflict(match guest.kind {
            GuestKind::Qemu => "checksum mismatch (file change by other user?)",
            GuestKind::Lxc => {
                "detected modified configuration - file changed by other user? Try again."
            }
        }));
    }
    Ok(())
}

pub(super) struct Claim;

#[async_trait]
impl<T: Claims> Step<T> for Claim {
    fn name(&self) -> &'static str {
        "claim"
    }

    async fn plan(&self, cx: &TaskContext<NodeContext>, task: &mut T) -> Result<(), Error> {
        let guest = cx.node.records.guest(task.vmid()).await?.record.data;
        task.check(&guest)
    }

    async fn probe(&self, cx: &TaskContext<NodeContext>, task: &mut T) -> Result<Probe, Error> {
        let claimed = cx.node.records.is_claimed(task.vmid(), &cx.upid).await?;
        Ok(if claimed { Probe::Done } else { Probe::NotDone })
    }

    async fn act(&self, cx: &TaskContext<NodeContext>, task: &mut T) -> Result<(), Error> {
        let revision = cx
            .node
            .records
            .claim(task.vmid(), &cx.upid, T::SHOWN_AS)
            .await?;
        cx.committed(revision.0);
        Ok(())
    }

    async fn undo(&self, cx: &TaskContext<NodeContext>, task: &T) -> Result<(), Error> {
        release(cx, task.vmid()).await
    }
}

/// Takes the mark off; comes after the point of no return.
pub(super) struct Release;

#[async_trait]
impl<T: Claims> Step<T> for Release {
    fn name(&self) -> &'static str {
        "release"
    }

    async fn probe(&self, cx: &TaskContext<NodeContext>, task: &mut T) -> Result<Probe, Error> {
        let claimed = cx.node.records.is_claimed(task.vmid(), &cx.upid).await?;
        Ok(if claimed { Probe::NotDone } else { Probe::Done })
    }

    async fn act(&self, cx: &TaskContext<NodeContext>, task: &mut T) -> Result<(), Error> {
        release(cx, task.vmid()).await
    }
}

async fn release(cx: &TaskContext<NodeContext>, vmid: VmId) -> Result<(), Error> {
    let revision = cx.node.records.release(vmid, &cx.upid).await?;
    cx.committed(revision.0);
    Ok(())
}
