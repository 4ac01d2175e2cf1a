//! Makes a disk larger, while the guest runs or not.
//!
//! ```text
//!   claim ─ grow ┃ note-size ─ release
//!                ┃ a disk does not shrink again
//! ```

use async_trait::async_trait;
use guest::qemu::block::node_name;
use model::qemu::{Drive, DriveSlot, DriveSource};
use model::{BlockFormat, BlockSource, ByteSize, Error, GuestConfig, GuestRecord, VmId, VolumeId};
use serde::{Deserialize, Serialize};
use storage::{AttachMode, Layer};
use tasks::{Probe, Step, Steps, Task, TaskContext};

use super::claim::{Claim, Claims, Release, check_digest, check_lock};
use super::{guest_object, qmp_failed};
use crate::{NodeContext, volumes};

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct QemuResize {
    pub vmid: VmId,
    pub slot: DriveSlot,
    pub size: NewSize,
    pub digest: Option<String>,
    pub skip_lock: bool,
    /// Chosen by `grow`.
    #[serde(default)]
    target: Option<(VolumeId, u64)>,
}

/// How large the disk is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NewSize {
    Exactly(ByteSize),
    LargerBy(ByteSize),
}

impl QemuResize {
    pub fn new(
        vmid: VmId,
        slot: DriveSlot,
        size: NewSize,
        digest: Option<String>,
        skip_lock: bool,
    ) -> Self {
        Self {
            vmid,
            slot,
            size,
            digest,
            skip_lock,
            target: None,
        }
    }

    fn target(&self) -> Result<&(VolumeId, u64), Error> {
        self.target
            .as_ref()
            .ok_or_else(|| Error::bug("the new size was not planned"))
    }

    /// Refuses a disk that is not there or has no volume.
    pub fn check_disk(&self, guest: &GuestRecord) -> Result<(), Error> {
        resizable(&self.drive(&guest.config)?).map(drop)
    }

    fn drive(&self, config: &GuestConfig) -> Result<Drive, Error> {
        let slot = self.slot;
        let missing = || Error::not_found(format!("disk '{slot}' does not exist"));
        let text = config.text(&slot.to_string()).ok_or_else(missing)?;
        Drive::parse(slot.bus(), &text)
            .map_err(|error| Error::invalid(slot.to_string(), error.to_string()))
    }
}

impl Task for QemuResize {
    type Node = NodeContext;
    const NAME: &'static str = "qemu_resize";
    const VERSION: u32 = 1;
    const KIND: &'static str = "resize";

    fn steps() -> Steps<Self> {
        Steps {
            before: &[&Claim, &Grow],
            after: &[&NoteSize, &Release],
        }
    }

    fn object(&self) -> Option<String> {
        Some(guest_object(self.vmid))
    }
}

impl Claims for QemuResize {
    const SHOWN_AS: &'static str = "";

    fn vmid(&self) -> VmId {
        self.vmid
    }

    fn check(&self, guest: &GuestRecord) -> Result<(), Error> {
        check_digest(guest, self.digest.as_deref())?;
        check_lock(guest, self.skip_lock)
    }
}

type Cx = TaskContext<NodeContext>;

/// What the storage says that the volume's size is.
async fn size_of(cx: &Cx, volume: &VolumeId) -> Result<u64, Error> {
    let storage = cx.node.storage(volume.storage()).await?;
    Ok(volumes::info_of(&*storage, volume).await?.size)
}

/// The volume of a disk.
fn resizable(drive: &Drive) -> Result<VolumeId, Error> {
    match drive.source() {
        DriveSource::Volume(_) if drive.is_cdrom() => {
            Err(Error::conflict("you can't resize a cdrom"))
        }
        DriveSource::Volume(volume) => Ok(volume),
        _ => {
            let text = format!("unable to parse volume ID '{}'", drive.file());
            Err(Error::conflict(text))
        }
    }
}

struct Grow;

#[async_trait]
impl Step<QemuResize> for Grow {
    fn name(&self) -> &'static str {
        "grow"
    }

    async fn plan(&self, cx: &Cx, task: &mut QemuResize) -> Result<(), Error> {
        let guest = cx.node.records.qemu(task.vmid).await?.record.data;
        let drive = task.drive(&guest.config)?;
        let volume = resizable(&drive)?;
        let names = cx.node.records.volume_names().await?;
        cx.node
            .check_no_clones(std::slice::from_ref(&volume), &names)
            .await?;
        let now = size_of(cx, &volume).await?;
        let bytes = match task.size {
            NewSize::Exactly(size) => Some(size),
            NewSize::LargerBy(size) => now.checked_add(size.bytes()).map(ByteSize),
        };
        let bytes = bytes.and_then(ByteSize::whole_kib).map(ByteSize::bytes);
        let bytes = bytes.ok_or_else(|| Error::invalid("size", "value is too large"))?;
        if bytes < now {
            return Err(Error::conflict("shrinking disks is not supported"));
        }
        task.target = Some((volume, bytes));
        Ok(())
    }

    async fn probe(&self, cx: &Cx, task: &mut QemuResize) -> Result<Probe, Error> {
        let (volume, bytes) = task.target()?;
        let is_done = size_of(cx, volume).await? >= *bytes;
        Ok(if is_done { Probe::Done } else { Probe::NotDone })
    }

    async fn act(&self, cx: &Cx, task: &mut QemuResize) -> Result<(), Error> {
        let (volume, bytes) = task.target()?;
        let storage = cx.node.storage(volume.storage()).await?;
        if !cx.node.running.is_running(task.vmid).await? {
            return Ok(storage.resize(volume.name(), *bytes).await?);
        }
        let qmp = cx.node.running.qmp(task.vmid).await?;
        let node = node_name(task.slot);
        let by = cx.node.by_guest(task.vmid).await?;
        let spec = cx.node.attach(volume, AttachMode::Exclusive, &by).await?;
        if let BlockSource::Device(_) = spec.source {
            // QEMU grows files itself, and images inside of a device; of a raw one it only learns how
            // large it has become.
            match storage.layered() {
                Some(layered) if spec.format == BlockFormat::Qcow2 => {
                    let image = Layer::Image;
                    layered.make_room(volume.name(), &image, *bytes).await?;
                }
                _ => storage.resize(volume.name(), *bytes).await?,
            }
        }
        qmp.resize_block(&node, *bytes).await.map_err(qmp_failed)
    }
}

/// The configuration shows the size too.
struct NoteSize;

#[async_trait]
impl Step<QemuResize> for NoteSize {
    fn name(&self) -> &'static str {
        "note-size"
    }

    async fn act(&self, cx: &Cx, task: &mut QemuResize) -> Result<(), Error> {
        let bytes = size_of(cx, &task.target()?.0).await?;
        let revision = cx
            .node
            .records
            .change_guest(task.vmid, |guest| {
                let mut drive = task.drive(&guest.config)?;
                drive.set_size(ByteSize(bytes));
                guest.config.set(task.slot.to_string(), drive.print());
                Ok(())
            })
            .await?;
        cx.committed(revision.0);
        Ok(())
    }
}
