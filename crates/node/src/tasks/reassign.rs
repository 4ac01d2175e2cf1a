//! The steps that give a volume of one guest to another one of its kind, on the storage where it is.
//!
//! ```text
//!   claim ─ claim-target ─ rename ─ publish ┃ release
//!                            │              ┃ point of no return: one commit takes it from the one
//!                            │                and gives it to the other
//!                            the volume is called after its new owner
//! ```

use async_trait::async_trait;
use model::{Error, GuestConfig, GuestRecord, PendingChange, VmId, VolumeId};
use serde::{Deserialize, Serialize};
use storage::{ContentType, Storage, VolumeNames};
use tasks::{Probe, Step, TaskContext};

use super::bases::linked_clones_of;
use super::claim::{Claims, check_digest, check_lock};
use crate::guests::options::{forget_boot_device, is_in_snapshot, is_indexed, volume_of};
use crate::{NodeContext, volumes};

type Cx = TaskContext<NodeContext>;

/// The volume on its way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Moved {
    pub(super) from: VolumeId,
    pub(super) to: VolumeId,
    /// What the option of the other guest will be.
    value: String,
    /// Whether the other guest runs, so that the volume waits to be plugged.
    pub(super) plug: bool,
}

/// A task that gives a volume away.
pub(super) trait Reassigns: Claims {
    /// The option that names the volume.
    fn option(&self) -> &str;

    /// The guest that gets it, and its option.
    fn target(&self) -> (VmId, &str);

    fn target_digest(&self) -> Option<&str>;

    fn moved(&self) -> Option<&Moved>;

    fn set_moved(&mut self, moved: Moved);

    /// Refuses a guest that volumes are neither taken from nor given to.
    fn check_guest(&self, guest: &GuestRecord) -> Result<(), Error>;

    /// The words for an option of the other guest that is in use.
    fn in_use(&self) -> String;

    /// The words for a guest that uses the volume now.
    fn runs(&self) -> &'static str;

    /// Refuses an option whose volume stays.
    fn check_option(&self, _text: &str) -> Result<(), Error> {
        Ok(())
    }

    /// Refuses what the other guest cannot be.
    fn check_after(&self, _config: &GuestConfig) -> Result<(), Error> {
        Ok(())
    }

    /// The option at its new place.
    fn value(&self, text: &str, to: &VolumeId) -> Result<String, Error>;
}

fn planned<T: Reassigns>(task: &T) -> Result<&Moved, Error> {
    let missing = || Error::bug("the volume's new name was not chosen");
    task.moved().ok_or_else(missing)
}

pub(super) struct ClaimTarget;

#[async_trait]
impl<T: Reassigns> Step<T> for ClaimTarget {
    fn name(&self) -> &'static str {
        "claim-target"
    }

    async fn plan(&self, cx: &Cx, task: &mut T) -> Result<(), Error> {
        let (target, option) = task.target();
        let guest = cx.node.records.guest(target).await?.record.data;
        check_digest(&guest, task.target_digest())?;
        check_lock(&guest, false)?;
        task.check_guest(&guest)?;
        if guest.config.0.contains_key(option) || guest.pending.contains_key(option) {
            return Err(Error::conflict(task.in_use()));
        }
        Ok(())
    }

    async fn probe(&self, cx: &Cx, task: &mut T) -> Result<Probe, Error> {
        let target = task.target().0;
        let claimed = cx.node.records.is_claimed(target, &cx.upid).await?;
        Ok(if claimed { Probe::Done } else { Probe::NotDone })
    }

    async fn act(&self, cx: &Cx, task: &mut T) -> Result<(), Error> {
        let records = &cx.node.records;
        let revision = records
            .claim(task.target().0, &cx.upid, T::SHOWN_AS)
            .await?;
        cx.committed(revision.0);
        Ok(())
    }

    async fn undo(&self, cx: &Cx, task: &T) -> Result<(), Error> {
        let target = task.target().0;
        let revision = cx.node.records.release(target, &cx.upid).await?;
        cx.committed(revision.0);
        Ok(())
    }
}

pub(super) struct Rename;

#[async_trait]
impl<T: Reassigns> Step<T> for Rename {
    fn name(&self) -> &'static str {
        "rename"
    }

    async fn plan(&self, cx: &Cx, task: &mut T) -> Result<(), Error> {
        let guest = cx.node.records.guest(task.vmid()).await?.record.data;
        let names = cx.node.records.volume_names().await?;
        let from = movable(task, &guest, &names)?;
        let runs = cx.node.running.is_running(task.vmid()).await?;
        if runs && !is_indexed(task.option(), "unused") {
            return Err(Error::conflict(task.runs()));
        }
        let storage = cx.node.storage(from.storage()).await?;
        storage.activate().await?;
        volumes::info_of(&*storage, &from).await?;
        let said = storage.config().parse(from.name())?;
        if said.is_base || said.owner != Some(task.vmid()) {
            let word = guest.kind.word();
            let text = format!("Storage does not support moving of this disk to another {word}");
            return Err(Error::conflict(text));
        }
        cx.node
            .check_no_clones(std::slice::from_ref(&from), &names)
            .await?;
        let (target, option) = task.target();
        let name = choose_name(&*storage, &from, target).await?;
        let to = volumes::named(from.storage(), name)?;
        let text = guest.config.text(task.option()).unwrap_or_default();
        let value = task.value(&text, &to)?;
        let mut after = cx.node.records.guest(target).await?.record.data.config;
        after.set(option, value.clone());
        task.check_after(&after)?;
        let moved = Moved {
            value,
            plug: cx.node.running.is_running(target).await? && !is_indexed(option, "unused"),
            from,
            to,
        };
        task.set_moved(moved);
        Ok(())
    }

    async fn act(&self, cx: &Cx, task: &mut T) -> Result<(), Error> {
        let Moved { from, to, .. } = planned(task)?;
        let storage = cx.node.storage(from.storage()).await?;
        storage.rename(from.name(), to.name()).await?;
        cx.log(&format!("'{from}' becomes '{to}'")).await;
        Ok(())
    }

    async fn undo(&self, cx: &Cx, task: &T) -> Result<(), Error> {
        let Moved { from, to, .. } = planned(task)?;
        let storage = cx.node.storage(from.storage()).await?;
        if storage.stat(from.name()).await?.is_none() {
            storage.rename(to.name(), from.name()).await?;
        }
        Ok(())
    }
}

/// The volume behind the option, if it can be another guest's.
fn movable<T: Reassigns>(
    task: &T,
    guest: &GuestRecord,
    names: &VolumeNames,
) -> Result<VolumeId, Error> {
    let option = task.option();
    task.check_option(&guest.config.text(option).unwrap_or_default())?;
    let none = || Error::conflict(format!("Disk '{option}' has no associated volume"));
    let volume = volume_of(option, &guest.config).ok_or_else(none)?;
    if is_in_snapshot(guest, &volume, names) {
        let word = guest.kind.word();
        let text = format!("Can't move disk used by a snapshot to another {word}");
        return Err(Error::conflict(text));
    }
    Ok(volume)
}

/// A name that contains the new owner; that of a linked clone stays below its base.
async fn choose_name(storage: &dyn Storage, from: &VolumeId, owner: VmId) -> Result<String, Error> {
    let said = storage.config().parse(from.name())?;
    if let Some(base) = said.base {
        let clones = linked_clones_of(storage, from)?;
        return Ok(clones.choose_clone_name(&base, owner, &[]).await?);
    }
    if said.content == ContentType::Rootdir {
        let none = || Error::bug("the storage has no directories");
        let trees = storage.trees().ok_or_else(none)?;
        return Ok(trees.choose_tree_name(owner, &[]).await?);
    }
    let format = storage.config().image_format(from.name())?;
    Ok(storage.choose_image_name(owner, format, &[]).await?)
}

pub(super) struct Publish;

#[async_trait]
impl<T: Reassigns> Step<T> for Publish {
    fn name(&self) -> &'static str {
        "publish"
    }

    async fn probe(&self, cx: &Cx, task: &mut T) -> Result<Probe, Error> {
        let target = task.target().0;
        let claimed = cx.node.records.is_claimed(target, &cx.upid).await?;
        Ok(if claimed { Probe::NotDone } else { Probe::Done })
    }

    async fn act(&self, cx: &Cx, task: &mut T) -> Result<(), Error> {
        let moved = planned(task)?;
        let (target, target_option) = task.target();
        let change = |source: &mut GuestRecord, other: &mut GuestRecord| {
            source.config.0.remove(task.option());
            forget_boot_device(source, task.option());
            if moved.plug {
                let change = PendingChange::Set(moved.value.clone().into());
                other.pending.insert(target_option.to_owned(), change);
            } else {
                other.config.set(target_option, moved.value.clone());
            }
            other.busy = None;
        };
        let revision = cx
            .node
            .records
            .change_two(task.vmid(), target, change)
            .await?;
        cx.committed(revision.0);
        Ok(())
    }
}
