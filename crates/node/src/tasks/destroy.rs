//! The steps that destroy a guest: its disks, then its record. Once it has begun it is finished.

use async_trait::async_trait;
use auth::edit::pools;
use model::{Error, GuestKind, GuestRecord, VmId, VolumeId};
use tasks::{Probe, Step, TaskContext};

use super::claim::Claims;
use super::volume_delete::check_no_clones;
use crate::NodeContext;
use crate::guests::options::volumes_of_guest;

/// A task that destroys a guest.
pub(super) trait Destroys: Claims {
    /// Whether a guest that runs is stopped.
    fn stops(&self) -> bool;

    /// Whether volumes go too that carry the guest's number and that it does not name.
    fn takes_unreferenced(&self) -> bool;

    /// Whether all that names the guest forgets it.
    fn purges(&self) -> bool;

    /// Chosen by the plan.
    fn volumes(&self) -> &[VolumeId];

    fn set_volumes(&mut self, volumes: Vec<VolumeId>);
}

/// Refuses a guest that must not be destroyed.
pub(super) fn check_protection(guest: &GuestRecord) -> Result<(), Error> {
    if guest.config.flag("protection") != Some(true) {
        return Ok(());
    }
    let (word, vmid) = (guest.kind.word(), guest.vmid);
    let text = format!("can't remove {word} {vmid} - protection mode enabled");
    Err(Error::conflict(text))
}

/// The error for a guest that runs.
pub fn is_running(guest: &GuestRecord) -> Error {
    let vmid = guest.vmid;
    Error::conflict(match guest.kind {
        GuestKind::Qemu => format!("VM {vmid} is running - destroy failed"),
        GuestKind::Lxc => format!("unable to destroy CT {vmid} - container is running"),
    })
}

type Cx = TaskContext<NodeContext>;

/// Finds what belongs to the guest.
pub(super) struct Choose;

#[async_trait]
impl<T: Destroys> Step<T> for Choose {
    fn name(&self) -> &'static str {
        "choose"
    }

    async fn plan(&self, cx: &Cx, task: &mut T) -> Result<(), Error> {
        let vmid = task.vmid();
        let guest = cx.node.records.guest(vmid).await?.record.data;
        if cx.node.running.is_running(vmid).await? && !task.stops() {
            return Err(is_running(&guest));
        }
        let mut volumes = volumes_of_guest(&guest);
        if task.takes_unreferenced() {
            for storage in cx.node.storages().await? {
                volumes.extend(images_of(&*storage, vmid).await?);
            }
        }
        // What is not made for this guest is not its to take along: an ISO image is shared.
        // One whose storage is gone is named in the log, whosever it is.
        let names = cx.node.records.volume_names().await?;
        let is_own = |volume: &VolumeId| names.owner(volume) == Some(vmid);
        volumes.retain(|volume| is_own(volume) || !names.knows(volume.storage()));
        // The list of a storage may know an image by its other name.
        let key = |volume: &VolumeId| (volume.storage().clone(), names.image(volume));
        volumes.sort_by_key(key);
        volumes.dedup_by_key(|volume| key(volume));
        for other in cx.node.records.guests().await? {
            let other = other?;
            for volume in volumes.iter().filter(|_| other.vmid != vmid) {
                check_no_clones(&other, volume, &names)?;
            }
        }
        task.set_volumes(volumes);
        Ok(())
    }

    async fn probe(&self, _: &Cx, _: &mut T) -> Result<Probe, Error> {
        Ok(Probe::Done)
    }

    async fn act(&self, _: &Cx, _: &mut T) -> Result<(), Error> {
        Ok(())
    }
}

/// Images and directories.
async fn images_of(storage: &dyn storage::Storage, vmid: VmId) -> Result<Vec<VolumeId>, Error> {
    let mut images = storage.list(Some(storage::ContentType::Images)).await?;
    images.extend(storage.list(Some(storage::ContentType::Rootdir)).await?);
    let id = storage.config().id();
    let mine = images.into_iter().filter(|image| image.owner == Some(vmid));
    Ok(mine
        .filter_map(|image| VolumeId::new(id.clone(), image.name).ok())
        .collect())
}

pub(super) struct RemoveVolumes;

#[async_trait]
impl<T: Destroys> Step<T> for RemoveVolumes {
    fn name(&self) -> &'static str {
        "remove-volumes"
    }

    async fn act(&self, cx: &Cx, task: &mut T) -> Result<(), Error> {
        if cx.node.running.is_running(task.vmid()).await? {
            let text = format!("forced to stop CT {} before destroying!", task.vmid());
            cx.log(&text).await;
        }
        cx.node.remove_traces(task.vmid()).await?;
        for volume in task.volumes() {
            match cx.node.storage(volume.storage()).await {
                Ok(storage) => {
                    storage.free(volume.name()).await?;
                }
                // A storage that is no more has no volumes to be removed.
                Err(error) if error.kind == model::ErrorKind::NotFound => {
                    cx.warn(&format!("volume '{volume}' was left: {error}"))
                        .await;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// No right stays on a number that another guest may get.
pub(super) struct RemoveRights;

#[async_trait]
impl<T: Destroys> Step<T> for RemoveRights {
    fn name(&self) -> &'static str {
        "remove-rights"
    }

    async fn act(&self, cx: &Cx, task: &mut T) -> Result<(), Error> {
        let vmid = task.vmid().get();
        let forgotten = cx
            .node
            .authority
            .change(|access| pools::forget_guest(access, vmid))
            .await;
        cx.committed(forgotten?.0);
        Ok(())
    }
}

pub(super) struct Purge;

#[async_trait]
impl<T: Destroys> Step<T> for Purge {
    fn name(&self) -> &'static str {
        "purge"
    }

    async fn act(&self, cx: &Cx, task: &mut T) -> Result<(), Error> {
        if !task.purges() {
            return Ok(());
        }
        let vmid = task.vmid();
        let record = cx.node.records.guest(vmid).await?.record.data;
        let word = record.kind.word();
        let text = format!("purging {word} {vmid} from related configurations..");
        cx.log(&text).await;
        for line in cx.node.records.purge_guest(vmid).await? {
            cx.log(&line).await;
        }
        Ok(())
    }
}

/// Deletes the record; the id is free from then on.
pub(super) struct Forget;

#[async_trait]
impl<T: Destroys> Step<T> for Forget {
    fn name(&self) -> &'static str {
        "forget"
    }

    async fn act(&self, cx: &Cx, task: &mut T) -> Result<(), Error> {
        cx.node.records.delete_guest(task.vmid(), &cx.upid).await
    }
}
