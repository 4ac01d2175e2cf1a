//! The steps that make a snapshot of a guest, of whatever kind it is.

use async_trait::async_trait;
use model::{Error, GuestConfig, GuestRecord, SavedMemory, Snapshot, SnapshotState};
use tasks::{Probe, Step, TaskContext};

use super::claim::{Claims, check_lock};
use crate::NodeContext;
use crate::guests::disk_snapshots::disks;
use crate::guests::disks::Disk;

type Cx = TaskContext<NodeContext>;

/// A task that makes a snapshot.
#[async_trait]
pub(super) trait MakesSnapshot: Claims {
    fn snapshot(&self) -> &str;

    fn description(&self) -> Option<&str>;

    /// The snapshot job that makes it.
    fn job(&self) -> Option<&str>;

    fn set_disks(&mut self, disks: Vec<Disk>);

    /// What else is chosen, once the disks are.
    async fn choose_more(&mut self, _cx: &Cx, _guest: &GuestRecord) -> Result<(), Error> {
        Ok(())
    }

    /// Where the guest's memory is saved.
    fn saved_memory(&self) -> Option<&SavedMemory> {
        None
    }
}

/// What must hold of a guest for a snapshot of this name.
pub(super) fn check_new_snapshot(guest: &GuestRecord, name: &str) -> Result<(), Error> {
    if guest.config.flag("template") == Some(true) {
        return Err(Error::conflict(
            "you can't take a snapshot if it's a template",
        ));
    }
    if guest.snapshots.contains_key(name) {
        return Err(Error::conflict(format!(
            "snapshot name '{name}' already used"
        )));
    }
    check_lock(guest, false)
}

/// What a snapshot keeps of the options.
fn kept(config: &GuestConfig) -> GuestConfig {
    let is_kept = |name: &str| {
        let is_own = ["description", "parent", "lock", "digest", "vmstate"].contains(&name);
        !is_own && !name.starts_with("unused")
    };
    let kept = config.0.iter().filter(|(name, _)| is_kept(name));
    GuestConfig(
        kept.map(|(name, value)| (name.clone(), value.clone()))
            .collect(),
    )
}

/// Puts the snapshot into the record, where it shows that it is being made.
pub(super) struct Prepare;

#[async_trait]
impl<T: MakesSnapshot> Step<T> for Prepare {
    fn name(&self) -> &'static str {
        "prepare"
    }

    async fn plan(&self, cx: &Cx, task: &mut T) -> Result<(), Error> {
        let guest = cx.node.records.guest(task.vmid()).await?.record.data;
        let disks = disks(&cx.node, guest.kind, &guest.config).await?;
        cx.node.check_snapshot_name(&disks, task.snapshot()).await?;
        task.set_disks(disks);
        task.choose_more(cx, &guest).await
    }

    async fn act(&self, cx: &Cx, task: &mut T) -> Result<(), Error> {
        let now = cx.clock.wall();
        let prepare = |guest: &mut GuestRecord| {
            let snapshot = Snapshot {
                config: kept(&guest.config),
                description: task.description().map(str::to_owned),
                parent: guest.config.text("parent"),
                created: now,
                memory: task.saved_memory().cloned(),
                state: Some(SnapshotState::Prepare),
                job: task.job().map(str::to_owned),
            };
            guest.snapshots.insert(task.snapshot().to_owned(), snapshot);
            Ok(())
        };
        let revision = cx.node.records.change_guest(task.vmid(), prepare).await?;
        cx.committed(revision.0);
        Ok(())
    }

    async fn undo(&self, cx: &Cx, task: &T) -> Result<(), Error> {
        let forget = |guest: &mut GuestRecord| {
            guest.snapshots.remove(task.snapshot());
            Ok(())
        };
        let revision = cx.node.records.change_guest(task.vmid(), forget).await?;
        cx.committed(revision.0);
        Ok(())
    }
}

/// The snapshot is whole, and what the guest does from now on follows it.
pub(super) struct Publish;

#[async_trait]
impl<T: MakesSnapshot> Step<T> for Publish {
    fn name(&self) -> &'static str {
        "publish"
    }

    async fn probe(&self, cx: &Cx, task: &mut T) -> Result<Probe, Error> {
        let guest = cx.node.records.guest(task.vmid()).await?.record.data;
        let snapshot = guest.snapshots.get(task.snapshot());
        let is_whole = snapshot.is_some_and(|snapshot| snapshot.state.is_none());
        Ok(if is_whole {
            Probe::Done
        } else {
            Probe::NotDone
        })
    }

    async fn act(&self, cx: &Cx, task: &mut T) -> Result<(), Error> {
        let publish = |guest: &mut GuestRecord| {
            if let Some(snapshot) = guest.snapshots.get_mut(task.snapshot()) {
                snapshot.state = None;
            }
            guest.config.set("parent", task.snapshot());
            Ok(())
        };
        let revision = cx.node.records.change_guest(task.vmid(), publish).await?;
        cx.committed(revision.0);
        Ok(())
    }

    async fn undo(&self, cx: &Cx, task: &T) -> Result<(), Error> {
        // A commit whose answer was lost and whose result was unknown for a time.
        let guest = cx.node.records.guest(task.vmid()).await?.record.data;
        let snapshot = guest.snapshots.get(task.snapshot());
        let parent = snapshot.and_then(|snapshot| snapshot.parent.clone());
        if guest.config.text("parent").as_deref() != Some(task.snapshot()) {
            return Ok(());
        }
        let take_back = |guest: &mut GuestRecord| {
            match &parent {
                Some(parent) => guest.config.set("parent", parent.clone()),
                None => drop(guest.config.0.remove("parent")),
            }
            Ok(())
        };
        cx.node.records.change_guest(task.vmid(), take_back).await?;
        Ok(())
    }
}
