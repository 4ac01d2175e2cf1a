//! Destroys a virtual machine: its disks, then its record. Once it has begun it is finished.

use async_trait::async_trait;
use auth::edit::pools;
use model::{Error, GuestRecord, VmId, VolumeId};
use serde::{Deserialize, Serialize};
use tasks::{Probe, Step, Steps, Task, TaskContext};

use super::claim::{Claim, Claims, check_lock};
use super::guest_object;
use super::volume_delete::check_no_clones;
use crate::NodeContext;
use crate::qemu::edit::volumes_of_guest;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct QemuDestroy {
    pub vmid: VmId,
    pub skip_lock: bool,
    /// Also volumes on the guest's storages that carry its number and that it does not name.
    pub unreferenced: bool,
    /// Chosen by the plan.
    #[serde(default)]
    volumes: Vec<VolumeId>,
}

impl QemuDestroy {
    pub fn new(vmid: VmId, skip_lock: bool, unreferenced: bool) -> Self {
        Self {
            vmid,
            skip_lock,
            unreferenced,
            volumes: Vec::new(),
        }
    }
}

impl Task for QemuDestroy {
    type Node = NodeContext;
    const NAME: &'static str = "qemu_destroy";
    const VERSION: u32 = 1;
    const KIND: &'static str = "qmdestroy";
    const ON_FULL_DISK: bool = true;

    fn steps() -> Steps<Self> {
        Steps {
            before: &[&Claim, &Choose],
            after: &[&RemoveVolumes, &RemoveRights, &Forget],
        }
    }

    fn object(&self) -> Option<String> {
        Some(guest_object(self.vmid))
    }
}

impl Claims for QemuDestroy {
    const SHOWN_AS: &'static str = "destroy";

    fn vmid(&self) -> VmId {
        self.vmid
    }

    fn check(&self, guest: &GuestRecord) -> Result<(), Error> {
        if guest.config.flag("protection") == Some(true) {
            let text = format!("can't remove VM {} - protection mode enabled", self.vmid);
            return Err(Error::conflict(text));
        }
        check_lock(guest, self.skip_lock)
    }
}

type Cx = TaskContext<NodeContext>;

/// Finds what belongs to the guest.
struct Choose;

#[async_trait]
impl Step<QemuDestroy> for Choose {
    fn name(&self) -> &'static str {
        "choose"
    }

    async fn plan(&self, cx: &Cx, task: &mut QemuDestroy) -> Result<(), Error> {
        let vmid = task.vmid;
        if cx.node.running.is_running(vmid).await? {
            return Err(Error::conflict(format!(
                "VM {vmid} is running - destroy failed"
            )));
        }
        let guest = cx.node.records.qemu(vmid).await?.record.data;
        let mut volumes = volumes_of_guest(&guest);
        if task.unreferenced {
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
        task.volumes = volumes;
        Ok(())
    }

    async fn probe(&self, _: &Cx, _: &mut QemuDestroy) -> Result<Probe, Error> {
        Ok(Probe::Done)
    }

    async fn act(&self, _: &Cx, _: &mut QemuDestroy) -> Result<(), Error> {
        Ok(())
    }
}

async fn images_of(storage: &dyn storage::Storage, vmid: VmId) -> Result<Vec<VolumeId>, Error> {
    let images = storage.list(Some(storage::ContentType::Images)).await?;
    let id = storage.config().id();
    let mine = images.into_iter().filter(|image| image.owner == Some(vmid));
    Ok(mine
        .filter_map(|image| VolumeId::new(id.clone(), image.name).ok())
        .collect())
}

struct RemoveVolumes;

#[async_trait]
impl Step<QemuDestroy> for RemoveVolumes {
    fn name(&self) -> &'static str {
        "remove-volumes"
    }

    async fn act(&self, cx: &Cx, task: &mut QemuDestroy) -> Result<(), Error> {
        cx.node.remove_traces(task.vmid).await?;
        for volume in &task.volumes {
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
struct RemoveRights;

#[async_trait]
impl Step<QemuDestroy> for RemoveRights {
    fn name(&self) -> &'static str {
        "remove-rights"
    }

    async fn act(&self, cx: &Cx, task: &mut QemuDestroy) -> Result<(), Error> {
        let vmid = task.vmid.get();
        let forgotten = cx
            .node
            .authority
            .change(|access| pools::forget_guest(access, vmid))
            .await;
        cx.committed(forgotten?.0);
        Ok(())
    }
}

/// Deletes the record; the id is free from then on.
struct Forget;

#[async_trait]
impl Step<QemuDestroy> for Forget {
    fn name(&self) -> &'static str {
        "forget"
    }

    async fn act(&self, cx: &Cx, task: &mut QemuDestroy) -> Result<(), Error> {
        cx.node.records.delete_guest(task.vmid, &cx.upid).await
    }
}
