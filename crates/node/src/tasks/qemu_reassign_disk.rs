//! Gives a disk of one virtual machine to another one, on the storage where it is.
//!
//! ```text
//!   claim ─ claim-target ─ rename ─ publish ┃ release ─► qemu_configure, if the other one runs
//!                            │              ┃ point of no return: one commit takes it from the one
//!                            │                and gives it to the other
//!                            the image is called after its new owner
//! ```

use async_trait::async_trait;
use model::qemu::{Drive, DriveSlot};
use model::{Error, GuestRecord, PendingChange, VmId, VolumeId};
use serde::{Deserialize, Serialize};
use storage::{Storage, VolumeNames};
use tasks::{FollowUp, Probe, Step, Steps, Task, TaskContext};

use super::claim::{Claim, Claims, Release, check_digest, check_lock};
use super::qemu_template::linked_clones_of;
use super::{QemuConfigure, guest_object};
use crate::qemu::edit::{Edit, forget_boot_device, is_indexed, volume_of};
use crate::{NodeContext, volumes, volumes_of};

/// The disk on its way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Moved {
    from: VolumeId,
    to: VolumeId,
    /// What the option of the other guest will be.
    value: String,
    /// Whether the other guest runs, so that the disk is plugged.
    plug: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct QemuReassignDisk {
    pub vmid: VmId,
    pub disk: String,
    pub target: VmId,
    pub target_disk: String,
    pub digest: Option<String>,
    pub target_digest: Option<String>,
    /// Chosen by `rename`.
    #[serde(default)]
    moved: Option<Moved>,
}

impl QemuReassignDisk {
    pub fn new(vmid: VmId, disk: String, target: VmId, target_disk: String) -> Self {
        Self {
            vmid,
            disk,
            target,
            target_disk,
            digest: None,
            target_digest: None,
            moved: None,
        }
    }

    fn moved(&self) -> Result<&Moved, Error> {
        let missing = || Error::bug("the disk's new name was not chosen");
        self.moved.as_ref().ok_or_else(missing)
    }
}

impl Task for QemuReassignDisk {
    type Node = NodeContext;
    const NAME: &'static str = "qemu_reassign_disk";
    const VERSION: u32 = 1;
    const KIND: &'static str = "qmmove";

    fn steps() -> Steps<Self> {
        Steps {
            before: &[&Claim, &ClaimTarget, &Rename, &Publish],
            after: &[&Release],
        }
    }

    fn object(&self) -> Option<String> {
        Some(guest_object(self.vmid))
    }

    fn other_objects(&self) -> Vec<String> {
        vec![guest_object(self.target)]
    }

    fn follow_up(&self) -> Option<FollowUp<NodeContext>> {
        let plugs = self.moved.as_ref().is_some_and(|moved| moved.plug);
        let task = QemuConfigure::new(self.target, Edit::default(), None, true);
        plugs.then(|| {
            let submit: FollowUp<NodeContext> =
                Box::new(move |engine, submission| Box::pin(engine.submit(submission, task)));
            submit
        })
    }
}

impl Claims for QemuReassignDisk {
    const SHOWN_AS: &'static str = "disk";

    fn vmid(&self) -> VmId {
        self.vmid
    }

    fn check(&self, guest: &GuestRecord) -> Result<(), Error> {
        let Self { vmid, disk, .. } = self;
        check_digest(guest, self.digest.as_deref())?;
        check_lock(guest, false)?;
        check_is_no_template(guest)?;
        if !guest.config.0.contains_key(disk) {
            let text = format!("Disk '{disk}' for VM '{vmid}' does not exist");
            return Err(Error::conflict(text));
        }
        if guest.pending.contains_key(disk) {
            let text = format!("disk '{disk}' has pending changes");
            return Err(Error::conflict(text));
        }
        Ok(())
    }
}

fn check_is_no_template(guest: &GuestRecord) -> Result<(), Error> {
    if guest.config.flag("template") == Some(true) {
        let text = "Can't move disks from or to template VMs";
        return Err(Error::conflict(text));
    }
    Ok(())
}

type Cx = TaskContext<NodeContext>;

struct ClaimTarget;

#[async_trait]
impl Step<QemuReassignDisk> for ClaimTarget {
    fn name(&self) -> &'static str {
        "claim-target"
    }

    async fn plan(&self, cx: &Cx, task: &mut QemuReassignDisk) -> Result<(), Error> {
        let guest = cx.node.records.qemu(task.target).await?.record.data;
        check_digest(&guest, task.target_digest.as_deref())?;
        check_lock(&guest, false)?;
        check_is_no_template(&guest)?;
        let (disk, target) = (&task.target_disk, task.target);
        if guest.config.0.contains_key(disk) || guest.pending.contains_key(disk) {
            let text = format!("Target disk key '{disk}' is already in use for VM '{target}'");
            return Err(Error::conflict(text));
        }
        Ok(())
    }

    async fn probe(&self, cx: &Cx, task: &mut QemuReassignDisk) -> Result<Probe, Error> {
        let claimed = cx.node.records.is_claimed(task.target, &cx.upid).await?;
        Ok(if claimed { Probe::Done } else { Probe::NotDone })
    }

    async fn act(&self, cx: &Cx, task: &mut QemuReassignDisk) -> Result<(), Error> {
        let records = &cx.node.records;
        let revision = records
            .claim(task.target, &cx.upid, QemuReassignDisk::SHOWN_AS)
            .await?;
        cx.committed(revision.0);
        Ok(())
    }

    async fn undo(&self, cx: &Cx, task: &QemuReassignDisk) -> Result<(), Error> {
        let revision = cx.node.records.release(task.target, &cx.upid).await?;
        cx.committed(revision.0);
        Ok(())
    }
}

struct Rename;

#[async_trait]
impl Step<QemuReassignDisk> for Rename {
    fn name(&self) -> &'static str {
        "rename"
    }

    async fn plan(&self, cx: &Cx, task: &mut QemuReassignDisk) -> Result<(), Error> {
        let guest = cx.node.records.qemu(task.vmid).await?.record.data;
        let names = cx.node.records.volume_names().await?;
        let from = movable(&guest, &task.disk, &names)?;
        let runs = cx.node.running.is_running(task.vmid).await?;
        if runs && !is_indexed(&task.disk, "unused") {
            let text =
                "Cannot move disk to another VM while the source VM is running - detach first";
            return Err(Error::conflict(text));
        }
        let storage = cx.node.storage(from.storage()).await?;
        storage.activate().await?;
        volumes::info_of(&*storage, &from).await?;
        let said = storage.config().parse(from.name())?;
        if said.is_base || said.owner != Some(task.vmid) {
            let text = "Storage does not support moving of this disk to another VM";
            return Err(Error::conflict(text));
        }
        cx.node
            .check_no_clones(std::slice::from_ref(&from), &names)
            .await?;
        let name = choose_name(&*storage, &from, task.target).await?;
        let to = volumes::named(from.storage(), name)?;
        let text = guest.config.text(&task.disk).unwrap_or_default();
        task.moved = Some(Moved {
            value: option_of(&task.target_disk, &task.disk, &text, &to)?,
            plug: cx.node.running.is_running(task.target).await?
                && !is_indexed(&task.target_disk, "unused"),
            from,
            to,
        });
        Ok(())
    }

    async fn act(&self, cx: &Cx, task: &mut QemuReassignDisk) -> Result<(), Error> {
        let Moved { from, to, .. } = task.moved()?;
        let storage = cx.node.storage(from.storage()).await?;
        storage.rename(from.name(), to.name()).await?;
        cx.log(&format!("'{from}' becomes '{to}'")).await;
        Ok(())
    }

    async fn undo(&self, cx: &Cx, task: &QemuReassignDisk) -> Result<(), Error> {
        let Moved { from, to, .. } = task.moved()?;
        let storage = cx.node.storage(from.storage()).await?;
        if storage.stat(from.name()).await?.is_none() {
            storage.rename(to.name(), from.name()).await?;
        }
        Ok(())
    }
}

/// The image behind an option, if it can be another guest's.
fn movable(guest: &GuestRecord, disk: &str, names: &VolumeNames) -> Result<VolumeId, Error> {
    let text = guest.config.text(disk).unwrap_or_default();
    if let Ok(slot) = disk.parse::<DriveSlot>() {
        let drive = Drive::parse(slot.bus(), &text).map_err(|e| Error::bug(e.to_string()))?;
        if drive.is_cdrom() {
            let text = "CD drive contents can't be moved to another VM";
            return Err(Error::conflict(text));
        }
    }
    let none = || Error::conflict(format!("Disk '{disk}' has no associated volume"));
    let volume = volume_of(disk, &guest.config).ok_or_else(none)?;
    let is_in = |snapshot: &model::Snapshot| {
        let named = volumes_of(&snapshot.config);
        named
            .iter()
            .any(|(_, other)| names.is_same_image(other, &volume))
    };
    if guest.snapshots.values().any(is_in) {
        let text = "Can't move disk used by a snapshot to another VM";
        return Err(Error::conflict(text));
    }
    Ok(volume)
}

/// A name that contains the new owner; that of a linked clone stays below its base.
async fn choose_name(storage: &dyn Storage, from: &VolumeId, owner: VmId) -> Result<String, Error> {
    if let Some(base) = storage.config().parse(from.name())?.base {
        let clones = linked_clones_of(storage, from)?;
        return Ok(clones.choose_clone_name(&base, owner, &[]).await?);
    }
    let format = storage.config().image_format(from.name())?;
    Ok(storage.choose_image_name(owner, format, &[]).await?)
}

/// The disk's option at its new place.
fn option_of(target: &str, disk: &str, text: &str, to: &VolumeId) -> Result<String, Error> {
    let Ok(slot) = target.parse::<DriveSlot>() else {
        return Ok(to.to_string());
    };
    let text = match is_indexed(disk, "unused") {
        true => to.to_string(),
        false => text.to_owned(),
    };
    let mut drive = Drive::parse(slot.bus(), &text)
        .map_err(|error| Error::invalid("target-disk", error.to_string()))?;
    drive.set_volume(to);
    Ok(drive.print())
}

struct Publish;

#[async_trait]
impl Step<QemuReassignDisk> for Publish {
    fn name(&self) -> &'static str {
        "publish"
    }

    async fn probe(&self, cx: &Cx, task: &mut QemuReassignDisk) -> Result<Probe, Error> {
        let claimed = cx.node.records.is_claimed(task.target, &cx.upid).await?;
        Ok(if claimed { Probe::NotDone } else { Probe::Done })
    }

    async fn act(&self, cx: &Cx, task: &mut QemuReassignDisk) -> Result<(), Error> {
        let moved = task.moved()?;
        let change = |source: &mut GuestRecord, target: &mut GuestRecord| {
            source.config.0.remove(&task.disk);
            forget_boot_device(source, &task.disk);
            if moved.plug {
                let change = PendingChange::Set(moved.value.clone().into());
                target.pending.insert(task.target_disk.clone(), change);
            } else {
                target.config.set(&task.target_disk, moved.value.clone());
            }
            target.busy = None;
        };
        let revision = cx
            .node
            .records
            .change_two(task.vmid, task.target, change)
            .await?;
        cx.committed(revision.0);
        Ok(())
    }
}
