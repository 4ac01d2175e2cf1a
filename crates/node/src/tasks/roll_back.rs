//! The steps that make a guest what it was at a snapshot, of whatever kind it is.

use async_trait::async_trait;
use model::{Error, GuestRecord, Snapshot, VolumeId};
use tasks::{Probe, Step, TaskContext};

use super::claim::{Claims, check_lock};
use super::delete_snapshot::snapshot_of;
use super::volume_delete::free_unwanted;
use crate::NodeContext;
use crate::guests::disk_snapshots::disks;
use crate::guests::disks::Disk;
use crate::guests::options::return_to;

type Cx = TaskContext<NodeContext>;

/// A task that rolls a guest back.
#[async_trait]
pub(super) trait RollsBack: Claims {
    fn snapshot(&self) -> &str;

    fn disks(&self) -> &[Disk];

    fn set_disks(&mut self, disks: Vec<Disk>);

    /// Volumes that are unused afterwards.
    fn unwanted(&self) -> &[VolumeId];

    fn set_unwanted(&mut self, unwanted: Vec<VolumeId>);

    /// Makes sure that the rest of the snapshot is there.
    async fn check_more(&mut self, _cx: &Cx, _snapshot: &Snapshot) -> Result<(), Error> {
        Ok(())
    }
}

/// What must hold of a guest that is to be rolled back.
pub(super) fn check_snapshot(guest: &GuestRecord, name: &str) -> Result<(), Error> {
    let snapshot = snapshot_of(guest, name)?;
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

/// Makes sure that everything that the guest is to be made of is there.
pub(super) struct Check;

#[async_trait]
impl<T: RollsBack> Step<T> for Check {
    fn name(&self) -> &'static str {
        "check"
    }

    async fn plan(&self, cx: &Cx, task: &mut T) -> Result<(), Error> {
        let guest = cx.node.records.guest(task.vmid()).await?.record.data;
        let snapshot = snapshot_of(&guest, task.snapshot())?;
        task.set_disks(disks(&cx.node, guest.kind, &snapshot.config).await?);
        cx.node
            .check_roll_back(task.disks(), task.snapshot())
            .await?;
        task.check_more(cx, snapshot).await
    }

    async fn probe(&self, _: &Cx, _: &mut T) -> Result<Probe, Error> {
        Ok(Probe::Done)
    }

    async fn act(&self, _: &Cx, _: &mut T) -> Result<(), Error> {
        Ok(())
    }
}

/// Ends the guest, as pulling its plug would: what it would still write is given up anyway.
pub(super) struct RollBackDisks;

#[async_trait]
impl<T: RollsBack> Step<T> for RollBackDisks {
    fn name(&self) -> &'static str {
        "roll-back-disks"
    }

    async fn act(&self, cx: &Cx, task: &mut T) -> Result<(), Error> {
        cx.node.remove_traces(task.vmid()).await?;
        for (option, volume) in task.disks() {
            cx.log(&format!("rolling back '{option}' ({volume})")).await;
        }
        cx.node.roll_back_disks(task.disks(), task.snapshot()).await
    }
}

/// Makes the options what they were.
pub(super) struct Apply;

#[async_trait]
impl<T: RollsBack> Step<T> for Apply {
    fn name(&self) -> &'static str {
        "apply"
    }

    async fn plan(&self, cx: &Cx, task: &mut T) -> Result<(), Error> {
        let mut guest = cx.node.records.guest(task.vmid()).await?.record.data;
        let names = cx.node.records.volume_names().await?;
        let unwanted = return_to(&mut guest, task.snapshot(), &names).unwanted;
        task.set_unwanted(unwanted);
        Ok(())
    }

    async fn act(&self, cx: &Cx, task: &mut T) -> Result<(), Error> {
        let names = cx.node.records.volume_names().await?;
        let apply = |guest: &mut GuestRecord| {
            return_to(guest, task.snapshot(), &names);
            Ok(())
        };
        let revision = cx.node.records.change_guest(task.vmid(), apply).await?;
        cx.committed(revision.0);
        for volume in task.unwanted() {
            free_unwanted(cx, volume).await?;
        }
        Ok(())
    }
}
