//! Moves a disk to another storage or into another format, also while the guest writes to it.
//!
//! ```text
//!   claim ─ choose ─ copy ─ catch-up ┃ switch-over ─ publish ─ clear ─ release
//!                      │        │    ┃ point of no return: both images hold the same, durably,
//!                      │        │      and nothing is written until the new one is in its place
//!                      │        the mirror has all and the disk stands still
//!                      a copy, or a mirror that is nearly as its source
//! ```
//!
//! Until the word to switch over the old image has every write, so whatever is broken off before
//! leaves it as the disk. After it the new one is, also where the guest has ended meanwhile: it
//! held the same when the disk stood still.

use async_trait::async_trait;
use guest::qemu::block::{image_nodes, node_name, replacement};
use guest::qemu::{Job, JobState, NodeCopy, Qmp, VmConfig};
use model::qemu::{Drive, DriveSlot};
use model::{BlockFormat, Error, GuestConfig, GuestRecord, StorageId, VmId, VolumeId};
use serde::{Deserialize, Serialize};
use storage::{ContentType, Storage, VolumeNames};
use tasks::{Probe, Step, Steps, Task, TaskContext};

use super::claim::{Claim, Claims, Release, check_digest, check_lock};
use super::volume_delete::free_unwanted;
use super::{guest_object, qmp_failed};
use crate::guests::options::{is_in_snapshot, replace_volume, volume_of};
use crate::qemu::drives;
use crate::qemu::live_copy::{self, until_jobs_change};
use crate::volumes::images::{self, Copying, Source};
use crate::{NodeContext, volumes};

/// The new image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Target {
    from: VolumeId,
    to: VolumeId,
    format: BlockFormat,
    bytes: u64,
    /// The drive that a running guest has it in.
    live: Option<DriveSlot>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct QemuMoveDisk {
    pub vmid: VmId,
    /// The option that names the disk: `scsi0`, `unused1`.
    pub disk: String,
    pub storage: Option<StorageId>,
    pub format: Option<BlockFormat>,
    /// Remove the old image instead of keeping it as unused.
    pub delete: bool,
    pub digest: Option<String>,
    /// How fast at most; 0 for as fast as it goes.
    #[serde(default)]
    pub bytes_per_s: u64,
    /// Chosen by `choose`.
    #[serde(default)]
    target: Option<Target>,
    /// Why QEMU stayed with the old image, found by `switch-over`.
    #[serde(default)]
    refusal: Option<String>,
}

impl QemuMoveDisk {
    pub fn new(vmid: VmId, disk: String) -> Self {
        Self {
            vmid,
            disk,
            storage: None,
            format: None,
            delete: false,
            digest: None,
            bytes_per_s: 0,
            target: None,
            refusal: None,
        }
    }

    /// Refuses what could not be done, before it is a task.
    pub async fn check(&self, node: &NodeContext, guest: &GuestRecord) -> Result<(), Error> {
        self.way(node, guest).await.map(|_| ())
    }

    /// The image that is moved, and what format it gets.
    async fn way(
        &self,
        node: &NodeContext,
        guest: &GuestRecord,
    ) -> Result<(VolumeId, BlockFormat), Error> {
        let from = movable(&guest.config, &self.disk)?;
        let id = self.storage.as_ref().unwrap_or(from.storage());
        let target = node.storage(id).await?;
        let names = node.records.volume_names().await?;
        check_snapshots(guest, self, &from, &names)?;
        let source = node.storage(from.storage()).await?;
        let old_format = source.config().image_format(from.name())?;
        let is_tpm = self.disk == DriveSlot::TPM.to_string();
        let format = match self.format {
            // What a security module keeps is read as it is.
            _ if is_tpm => BlockFormat::Raw,
            Some(format) => format,
            None => target.config().spec.format_of_copy(old_format),
        };
        if id == from.storage() && format == old_format {
            return Err(Error::conflict(
                "you can't move to the same storage with same format",
            ));
        }
        Ok((from, format))
    }

    fn target(&self) -> Result<&Target, Error> {
        let missing = || Error::bug("the new image was not planned");
        self.target.as_ref().ok_or_else(missing)
    }

    fn label(&self, slot: DriveSlot) -> Result<String, Error> {
        Ok(drives::label(slot, &self.target()?.to))
    }
}

impl Task for QemuMoveDisk {
    type Node = NodeContext;
    const NAME: &'static str = "qemu_move_disk";
    const VERSION: u32 = 1;
    const KIND: &'static str = "qmmove";

    fn steps() -> Steps<Self> {
        Steps {
            before: &[&Claim, &Choose, &CopyImage, &CatchUp],
            after: &[&SwitchOver, &Publish, &Clear, &Release],
        }
    }

    fn object(&self) -> Option<String> {
        Some(guest_object(self.vmid))
    }

    fn verdict(&self) -> Result<(), Error> {
        match &self.refusal {
            Some(why) => Err(Error::unavailable(why.clone())),
            None => Ok(()),
        }
    }
}

impl Claims for QemuMoveDisk {
    const SHOWN_AS: &'static str = "disk";

    fn vmid(&self) -> VmId {
        self.vmid
    }

    fn check(&self, guest: &GuestRecord) -> Result<(), Error> {
        check_digest(guest, self.digest.as_deref())?;
        check_lock(guest, false)?;
        let disk = &self.disk;
        if !guest.config.0.contains_key(disk) {
            return Err(Error::conflict(format!("disk '{disk}' does not exist")));
        }
        if guest.pending.contains_key(disk) {
            let text = format!("disk '{disk}' has pending changes");
            return Err(Error::conflict(text));
        }
        Ok(())
    }
}

type Cx = TaskContext<NodeContext>;

struct Choose;

#[async_trait]
impl Step<QemuMoveDisk> for Choose {
    fn name(&self) -> &'static str {
        "choose"
    }

    async fn plan(&self, cx: &Cx, task: &mut QemuMoveDisk) -> Result<(), Error> {
        let guest = cx.node.records.qemu(task.vmid).await?.record.data;
        let (from, format) = task.way(&cx.node, &guest).await?;
        let source = cx.node.storage(from.storage()).await?;
        source.activate().await?;
        let bytes = volumes::info_of(&*source, &from).await?.size;
        let id = task.storage.as_ref().unwrap_or(from.storage()).clone();
        let storage = cx.node.storage(&id).await?;
        warn_unencrypted(cx, &*source, &*storage).await;
        if task.delete {
            let names = cx.node.records.volume_names().await?;
            let from = std::slice::from_ref(&from);
            cx.node.check_no_clones(from, &names).await?;
        }
        let name = choose_name(&*storage, task.vmid, format).await?;
        let to = volumes::named(&id, name)?;
        let live = live_slot(cx, task).await?;
        task.target = Some(Target {
            from,
            to,
            format,
            bytes,
            live,
        });
        Ok(())
    }

    async fn probe(&self, _: &Cx, _: &mut QemuMoveDisk) -> Result<Probe, Error> {
        Ok(Probe::Done)
    }

    async fn act(&self, _: &Cx, _: &mut QemuMoveDisk) -> Result<(), Error> {
        Ok(())
    }
}

/// Says that a copy of what is encrypted will not be.
pub(super) async fn warn_unencrypted(cx: &Cx, source: &dyn Storage, storage: &dyn Storage) {
    let is_encrypted = |storage: &dyn Storage| storage.config().spec.is_encrypted();
    if is_encrypted(source) && !is_encrypted(storage) {
        let (from, to) = (source.config().id(), storage.config().id());
        cx.warn(&format!(
            "storage '{from}' is encrypted, '{to}' is not: the copy will not be"
        ))
        .await;
    }
}

/// The image behind an option, if it is one that can be moved.
fn movable(config: &GuestConfig, disk: &str) -> Result<VolumeId, Error> {
    let missing = || Error::conflict(format!("disk '{disk}' does not exist"));
    let text = config.text(disk).ok_or_else(missing)?;
    if let Ok(slot) = disk.parse::<DriveSlot>() {
        let drive = Drive::parse(slot.bus(), &text).map_err(|e| Error::bug(e.to_string()))?;
        if drive.is_cdrom() {
            return Err(Error::conflict("you can't move a cdrom"));
        }
    }
    let none = || Error::conflict(format!("disk '{disk}' has no associated volume"));
    volume_of(disk, config).ok_or_else(none)
}

fn check_snapshots(
    guest: &GuestRecord,
    task: &QemuMoveDisk,
    from: &VolumeId,
    names: &VolumeNames,
) -> Result<(), Error> {
    if task.delete && is_in_snapshot(guest, from, names) {
        return Err(Error::conflict(
            "you can't move a disk with snapshots and delete the source",
        ));
    }
    Ok(())
}

async fn choose_name(
    storage: &dyn Storage,
    owner: VmId,
    format: BlockFormat,
) -> Result<String, Error> {
    let id = storage.config().id();
    if !storage.config().takes(ContentType::Images) {
        let text = format!("storage '{id}' does not support content-type 'images'");
        return Err(Error::conflict(text));
    }
    storage.activate().await?;
    Ok(storage.choose_image_name(owner, format, &[]).await?)
}

/// The drive that a running guest has the disk in; none if no guest has it open.
async fn live_slot(cx: &Cx, task: &QemuMoveDisk) -> Result<Option<DriveSlot>, Error> {
    let Ok(slot) = task.disk.parse::<DriveSlot>() else {
        return Ok(None);
    };
    if !cx.node.running.is_running(task.vmid).await? {
        return Ok(None);
    }
    if slot == DriveSlot::TPM {
        // It is not QEMU that has it open.
        return Err(Error::conflict("cannot move TPM state while VM is running"));
    }
    Ok(Some(slot))
}

struct CopyImage;

#[async_trait]
impl Step<QemuMoveDisk> for CopyImage {
    fn name(&self) -> &'static str {
        "copy"
    }

    async fn act(&self, cx: &Cx, task: &mut QemuMoveDisk) -> Result<(), Error> {
        let target = task.target()?;
        let (disk, from, to) = (&task.disk, &target.from, &target.to);
        cx.log(&format!("{disk}: moving '{from}' to '{to}'")).await;
        let storage = cx.node.storage(to.storage()).await?;
        storage
            .allocate(to.name(), target.format, target.bytes)
            .await?;
        if let Some(slot) = target.live {
            return mirror(cx, task, slot).await;
        }
        let source = Source::of_volume(cx, from, None).await?;
        let copying = Copying {
            what: disk,
            to,
            bytes: target.bytes,
            bytes_per_s: task.bytes_per_s,
        };
        images::copy(cx, source, copying).await
    }

    async fn undo(&self, cx: &Cx, task: &QemuMoveDisk) -> Result<(), Error> {
        let target = task.target()?;
        if let Some(slot) = target.live
            && cx.node.running.is_running(task.vmid).await?
        {
            let qmp = cx.node.running.qmp(task.vmid).await?;
            live_copy::end_job(cx, &qmp, &cx.job_id("mirror")).await?;
            remove_behind(cx, &qmp, task, slot).await?;
            cx.node.detach_from_running(task.vmid, &target.to).await?;
        }
        if target.live.is_none() {
            images::let_go(cx, &target.from, None).await?;
        }
        let storage = cx.node.storage(target.to.storage()).await?;
        storage.free(target.to.name()).await?;
        Ok(())
    }
}

/// Has QEMU write to both images, and waits until the new one has all.
async fn mirror(cx: &Cx, task: &QemuMoveDisk, slot: DriveSlot) -> Result<(), Error> {
    let target = task.target()?;
    let guest = cx.node.records.qemu(task.vmid).await?.record.data;
    let config = VmConfig::parse(&guest.config).map_err(Error::invalid_fields)?;
    let spec = cx.node.attach_to_running(task.vmid, &target.to).await?;
    let options = drives::options_of_image(&config, slot, &spec)?;
    let qmp = cx.node.running.qmp(task.vmid).await?;
    let existing = qmp.block_nodes().await.map_err(qmp_failed)?;
    let images = image_nodes(slot, &existing);
    let old = images
        .first()
        .ok_or_else(|| Error::bug("a drive has no image"))?;
    let label = task.label(slot)?;
    let spec = drives::let_copy_into(&cx.node, task.vmid, &spec, target.bytes).await?;
    let spec = drives::pass(&cx.node.host, &qmp, &label, &spec, &options).await?;
    let (name, nodes) = replacement(slot, &existing, &spec, &options);
    for node in nodes {
        qmp.add_block_node(node).await.map_err(qmp_failed)?;
    }
    let copy = NodeCopy {
        job: &cx.job_id("mirror"),
        node: &node_name(slot),
        target: &name,
        bytes_per_s: task.bytes_per_s,
    };
    qmp.mirror_node(copy, old).await.map_err(qmp_failed)?;
    until_ready(cx, &qmp, target.bytes).await
}

async fn until_ready(cx: &Cx, qmp: &Qmp, total: u64) -> Result<(), Error> {
    let (id, what) = (cx.job_id("mirror"), ("disk", Some(total)));
    let has_come_far = |job: &Job| job.state != JobState::Running;
    let job = live_copy::until_job(cx, qmp, &id, what, has_come_far).await?;
    match job.map(|job| job.state) {
        Some(JobState::Ready) => {}
        Some(JobState::Failed(why)) => {
            return Err(Error::unavailable(format!("the mirror failed: {why}")));
        }
        _ => return Err(Error::unavailable("somebody else ended the mirror")),
    }
    cx.progress("disk", total, total).await;
    Ok(())
}

async fn job(cx: &Cx, qmp: &Qmp) -> Result<Option<Job>, Error> {
    live_copy::job(qmp, &cx.job_id("mirror")).await
}

/// Removes the nodes of the image that the drive does not use, and the descriptors of the volume
/// that is not its: the new one's before it switched over, the old one's after.
async fn remove_behind(
    cx: &Cx,
    qmp: &Qmp,
    task: &QemuMoveDisk,
    slot: DriveSlot,
) -> Result<(), Error> {
    let existing = qmp.block_nodes().await.map_err(qmp_failed)?;
    for name in image_nodes(slot, &existing) {
        match qmp.remove_block_node(&name).await {
            // The drive uses it.
            Err(guest::qemu::QmpError::Refused { .. }) => {}
            removed => removed.map_err(qmp_failed)?,
        }
    }
    let is_over = is_switched_over(cx, task).await?;
    let new = task.label(slot)?;
    for (set, said) in qmp.descriptor_sets().await.map_err(qmp_failed)? {
        let is_drives = said.iter().any(|said| drives::is_label_of(said, slot));
        let is_new = said.contains(&new);
        if is_drives && is_new != is_over {
            qmp.remove_descriptors(set).await.map_err(qmp_failed)?;
        }
    }
    Ok(())
}

/// Whether the record names the new image.
async fn is_switched_over(cx: &Cx, task: &QemuMoveDisk) -> Result<bool, Error> {
    let guest = cx.node.records.qemu(task.vmid).await?.record.data;
    Ok(volume_of(&task.disk, &guest.config).as_ref() == Some(&task.target()?.to))
}

/// Has the mirror catch up, to where only the word is missing.
struct CatchUp;

#[async_trait]
impl Step<QemuMoveDisk> for CatchUp {
    fn name(&self) -> &'static str {
        "catch-up"
    }

    async fn probe(&self, cx: &Cx, task: &mut QemuMoveDisk) -> Result<Probe, Error> {
        if task.target()?.live.is_none() {
            return Ok(Probe::Done);
        }
        // The mirror of a guest that has ended may lack what was on its way.
        if !cx.node.running.is_running(task.vmid).await? {
            return Ok(Probe::NotDone);
        }
        let qmp = cx.node.running.qmp(task.vmid).await?;
        let state = job(cx, &qmp).await?.map(|job| job.state);
        Ok(match state {
            Some(JobState::Pending) => Probe::Done,
            _ => Probe::NotDone,
        })
    }

    async fn act(&self, cx: &Cx, task: &mut QemuMoveDisk) -> Result<(), Error> {
        if task.target()?.live.is_none() {
            return Ok(());
        }
        let qmp = cx.node.running.qmp(task.vmid).await?;
        qmp.complete_job(&cx.job_id("mirror"))
            .await
            .map_err(qmp_failed)?;
        let mut events = qmp.events();
        loop {
            match job(cx, &qmp).await?.map(|job| job.state) {
                Some(JobState::Pending) => return Ok(()),
                Some(JobState::Running | JobState::Ready) => {
                    until_jobs_change(cx, &mut events).await;
                }
                Some(JobState::Failed(why)) => {
                    return Err(Error::unavailable(format!("the mirror failed: {why}")));
                }
                Some(JobState::Done) | None => {
                    return Err(Error::unavailable("somebody else ended the mirror"));
                }
            }
        }
    }

    async fn undo(&self, _: &Cx, _: &QemuMoveDisk) -> Result<(), Error> {
        // What ends the mirror is the undoing of `copy`.
        Ok(())
    }
}

/// Puts the new image in the old one's place.
struct SwitchOver;

#[async_trait]
impl Step<QemuMoveDisk> for SwitchOver {
    fn name(&self) -> &'static str {
        "switch-over"
    }

    async fn act(&self, cx: &Cx, task: &mut QemuMoveDisk) -> Result<(), Error> {
        let is_live = task.target()?.live.is_some();
        if !is_live || !cx.node.running.is_running(task.vmid).await? {
            return Ok(());
        }
        let qmp = cx.node.running.qmp(task.vmid).await?;
        let mut events = qmp.events();
        loop {
            match job(cx, &qmp).await?.map(|job| job.state) {
                Some(JobState::Pending) => qmp
                    .finalize_job(&cx.job_id("mirror"))
                    .await
                    .map_err(qmp_failed)?,
                Some(JobState::Running | JobState::Ready) => {
                    until_jobs_change(cx, &mut events).await;
                }
                Some(JobState::Done) => return Ok(()),
                Some(JobState::Failed(why)) => {
                    task.refusal = Some(format!("QEMU did not switch over: {why}"));
                    return Ok(());
                }
                // Another QEMU: the guest was started anew meanwhile.
                None => return Ok(()),
            }
        }
    }
}

struct Publish;

#[async_trait]
impl Step<QemuMoveDisk> for Publish {
    fn name(&self) -> &'static str {
        "publish"
    }

    async fn probe(&self, cx: &Cx, task: &mut QemuMoveDisk) -> Result<Probe, Error> {
        let done = is_switched_over(cx, task).await?;
        Ok(if done { Probe::Done } else { Probe::NotDone })
    }

    async fn act(&self, cx: &Cx, task: &mut QemuMoveDisk) -> Result<(), Error> {
        if task.refusal.is_some() {
            return Ok(());
        }
        let target = task.target()?;
        let names = cx.node.records.volume_names().await?;
        let storage = cx.node.storage(target.to.storage()).await?;
        let bytes = volumes::info_of(&*storage, &target.to).await?.size;
        let change = |guest: &mut GuestRecord| {
            let (disk, to) = (&task.disk, &target.to);
            replace_volume(guest, disk, to, bytes, &names, task.delete)
        };
        let revision = cx.node.records.change_guest(task.vmid, change).await?;
        cx.committed(revision.0);
        Ok(())
    }
}

/// Closes the old image, and removes it where that is wanted.
struct Clear;

#[async_trait]
impl Step<QemuMoveDisk> for Clear {
    fn name(&self) -> &'static str {
        "clear"
    }

    async fn act(&self, cx: &Cx, task: &mut QemuMoveDisk) -> Result<(), Error> {
        let target = task.target()?;
        if let Some(slot) = target.live
            && cx.node.running.is_running(task.vmid).await?
        {
            let qmp = cx.node.running.qmp(task.vmid).await?;
            live_copy::end_job(cx, &qmp, &cx.job_id("mirror")).await?;
            remove_behind(cx, &qmp, task, slot).await?;
            let closed = match &task.refusal {
                Some(_) => &target.to,
                None => &target.from,
            };
            cx.node.detach_from_running(task.vmid, closed).await?;
        }
        if task.refusal.is_some() {
            return free_unwanted(cx, &target.to).await;
        }
        let names = cx.node.records.volume_names().await?;
        let is_own = names.owner(&target.from) == Some(task.vmid);
        if task.delete && is_own {
            free_unwanted(cx, &target.from).await?;
        }
        Ok(())
    }
}
