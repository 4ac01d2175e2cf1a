//! Makes a virtual machine that is another one's copy, or whose disks are linked clones of a template's.
//!
//! ```text
//!   reserve ─ plan ─ copy ─ publish ┃ join-pool
//!   the id    names  the disks      ┃ point of no return: it is a guest
//! ```
//!
//! The guest that is copied is ours meanwhile and is not changed. Disks of one that runs are
//! copied by QEMU, all as they were at one moment.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use guest::qemu::VmConfig;
use model::qemu::{CLOUD_INIT_BYTES, DriveSlot, Net, Smbios};
use model::{BlockFormat, ByteSize, Error, GuestConfig, PoolId, StorageId, VmId, VolumeId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use storage::ContentType;
use tasks::{FollowUp, Probe, Step, Steps, Task, TaskContext};
use uuid::Uuid;

use super::bases::linked_clones_of;
use super::guest_object;
use super::new_guest::{JoinPool, NewGuest, Publish, Reserve, announce, original, start_of};
use crate::guests::options::{is_indexed, note_size, set_volume};
use crate::qemu::live_copy::{self, LiveCopy};
use crate::qemu::{cloud_init, drives};
use crate::volumes::images::{self, Copying, Source};
use crate::{NodeContext, random_mac, volumes};

/// A disk of the new guest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Copy {
    slot: DriveSlot,
    from: VolumeId,
    to: VolumeId,
    format: BlockFormat,
    bytes: u64,
    how: How,
    /// It is grown to this size, in bytes.
    #[serde(default)]
    grown: Option<u64>,
}

/// How a disk of the new guest is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum How {
    Copy,
    /// By the QEMU that has the original open.
    LiveCopy,
    /// A linked clone of the original.
    #[serde(alias = "layer")]
    Linked,
    /// A medium of cloud-init, which is made anew at every start.
    Empty,
}

/// How a clone differs from its original, from the beginning.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct CloneChanges {
    /// Options with their new values, as they are stored.
    pub options: BTreeMap<String, Value>,
    /// How large disks are at least, in bytes.
    pub sizes: BTreeMap<DriveSlot, u64>,
    pub start: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct QemuClone {
    pub source: VmId,
    pub vmid: VmId,
    pub name: Option<String>,
    pub description: Option<String>,
    pub pool: Option<PoolId>,
    /// Copies of the disks, also where linked clones could be made.
    pub full: bool,
    /// Where copies go; beside what they are copies of otherwise.
    pub storage: Option<StorageId>,
    pub format: Option<BlockFormat>,
    /// What is copied is not the present but this snapshot.
    pub snapshot: Option<String>,
    /// How fast a disk is copied at most; 0 for as fast as it goes.
    #[serde(default)]
    pub bytes_per_s: u64,
    /// Chosen by `plan`.
    /// What the new guest has that its original has not.
    #[serde(default)]
    pub changes: CloneChanges,
    #[serde(default)]
    config: GuestConfig,
    #[serde(default)]
    copies: Vec<Copy>,
}

impl QemuClone {
    /// A linked clone where that can be, under a name of our own.
    pub fn new(source: VmId, vmid: VmId) -> Self {
        Self {
            source,
            vmid,
            name: None,
            description: None,
            pool: None,
            full: false,
            storage: None,
            format: None,
            snapshot: None,
            bytes_per_s: 0,
            changes: CloneChanges::default(),
            config: GuestConfig::default(),
            copies: Vec::new(),
        }
    }

    fn live_copies(&self) -> Vec<LiveCopy> {
        let live = self.copies.iter().filter(|copy| copy.how == How::LiveCopy);
        live.map(|copy| LiveCopy {
            slot: copy.slot,
            to: copy.to.clone(),
            bytes: copy.bytes,
        })
        .collect()
    }
}

impl Task for QemuClone {
    type Node = NodeContext;
    const NAME: &'static str = "qemu_clone";
    const VERSION: u32 = 1;
    const KIND: &'static str = "qmclone";
    /// Many may be made of one guest at the same time.
    const PATIENCE: Duration = Duration::from_secs(600);

    fn steps() -> Steps<Self> {
        Steps {
            before: &[&Reserve, &Plan, &CopyDisks, &Publish],
            after: &[&JoinPool],
        }
    }

    fn object(&self) -> Option<String> {
        Some(guest_object(self.vmid))
    }

    fn other_objects(&self) -> Vec<String> {
        vec![guest_object(self.source)]
    }

    fn follow_up(&self) -> Option<FollowUp<NodeContext>> {
        self.changes.start.then(|| start_of(self.vmid))
    }
}

impl NewGuest for QemuClone {
    const SHOWN_AS: &'static str = "clone";

    fn vmid(&self) -> VmId {
        self.vmid
    }

    fn options(&self) -> GuestConfig {
        self.config.clone()
    }

    fn pool(&self) -> Option<&PoolId> {
        self.pool.as_ref()
    }
}

type Cx = TaskContext<NodeContext>;

/// Decides what the new guest will be.
struct Plan;

#[async_trait]
impl Step<QemuClone> for Plan {
    fn name(&self) -> &'static str {
        "plan"
    }

    async fn plan(&self, cx: &Cx, task: &mut QemuClone) -> Result<(), Error> {
        let guest = cx.node.records.qemu(task.source).await?.record.data;
        super::claim::check_lock(&guest, false)?;
        let (options, is_template) = original(&guest, task.snapshot.as_deref())?;
        let runs = cx.node.running.is_running(task.source).await?;
        let is_live = runs && task.snapshot.is_none();
        let parsed = VmConfig::parse(&options).map_err(Error::invalid_fields)?;
        if let Some(slot) = parsed.path_disk() {
            let text = format!("Full clone feature is not supported for drive '{slot}'");
            return Err(Error::conflict(text));
        }
        let mut copies = Vec::new();
        for (slot, from) in drives::disks_of(&parsed) {
            let taken: Vec<String> = names_of(&copies);
            // A security module's state is read by a program that knows raw images only.
            let is_linked = is_template && !task.full && slot != DriveSlot::TPM;
            let copy = if is_linked {
                plan_linked(cx, task, slot, from, &taken).await?
            } else {
                if is_live && slot == DriveSlot::TPM {
                    let text = "cannot copy the state of a TPM while the guest runs";
                    return Err(Error::conflict(text));
                }
                let how = if is_live { How::LiveCopy } else { How::Copy };
                plan_copy(cx, task, slot, from, &taken, how).await?
            };
            copies.push(copy);
        }
        if let Some((slot, drive)) = parsed.cloud_init_drive()
            && let Some(from) = drive.volume()
        {
            copies.push(plan_medium(cx, task, slot, from).await?);
        }
        grow(&task.changes.sizes, &mut copies)?;
        task.config = configured(cx, task, options, &copies).await?;
        VmConfig::parse(&task.config).map_err(Error::invalid_fields)?;
        task.copies = copies;
        Ok(())
    }

    async fn probe(&self, _: &Cx, _: &mut QemuClone) -> Result<Probe, Error> {
        Ok(Probe::Done)
    }

    async fn act(&self, _: &Cx, _: &mut QemuClone) -> Result<(), Error> {
        Ok(())
    }
}

/// Notes which disks are to be larger.
fn grow(sizes: &BTreeMap<DriveSlot, u64>, copies: &mut [Copy]) -> Result<(), Error> {
    for (slot, bytes) in sizes {
        let copy = copies.iter_mut().find(|copy| copy.slot == *slot);
        let Some(copy) = copy.filter(|copy| copy.how != How::Empty) else {
            return Err(Error::conflict(format!(
                "the template has no disk '{slot}'"
            )));
        };
        if *bytes < copy.bytes {
            let (has, wanted) = (ByteSize(copy.bytes), ByteSize(*bytes));
            let text = format!("'{slot}' has {has} and is not shrunk to {wanted}");
            return Err(Error::conflict(text));
        }
        copy.grown = Some(*bytes).filter(|bytes| *bytes > copy.bytes);
    }
    Ok(())
}

fn names_of(copies: &[Copy]) -> Vec<String> {
    let names = copies.iter().map(|copy| copy.to.name().to_owned());
    names.collect()
}

async fn plan_linked(
    cx: &Cx,
    task: &QemuClone,
    slot: DriveSlot,
    from: VolumeId,
    taken: &[String],
) -> Result<Copy, Error> {
    let storage = cx.node.storage(from.storage()).await?;
    storage.activate().await?;
    let clones = linked_clones_of(&*storage, &from)?;
    if !storage.config().parse(from.name())?.is_base {
        let text = format!("Linked clone feature for '{slot}' is not available");
        return Err(Error::conflict(text));
    }
    let clone = clones.plan_clone(from.name(), task.vmid, taken).await?;
    Ok(Copy {
        slot,
        to: volumes::named(from.storage(), clone.name)?,
        from,
        format: clones.clone_format(),
        bytes: clone.size,
        how: How::Linked,
        grown: None,
    })
}

/// A medium of cloud-init says which guest it is for: another one gets its own.
async fn plan_medium(
    cx: &Cx,
    task: &QemuClone,
    slot: DriveSlot,
    from: VolumeId,
) -> Result<Copy, Error> {
    let id = task.storage.as_ref().unwrap_or(from.storage()).clone();
    let storage = cx.node.storage(&id).await?;
    storage.activate().await?;
    let format = cloud_init::format_on(&*storage);
    let name = storage.image_name(task.vmid, "cloudinit", format);
    if storage.stat(&name).await?.is_some() {
        return Err(Error::conflict(format!(
            "volume '{id}:{name}' already exists"
        )));
    }
    Ok(Copy {
        slot,
        to: volumes::named(&id, name)?,
        from,
        format,
        bytes: CLOUD_INIT_BYTES,
        how: How::Empty,
        grown: None,
    })
}

async fn plan_copy(
    cx: &Cx,
    task: &QemuClone,
    slot: DriveSlot,
    from: VolumeId,
    taken: &[String],
    how: How,
) -> Result<Copy, Error> {
    let source = cx.node.storage(from.storage()).await?;
    source.activate().await?;
    let bytes = volumes::info_of(&*source, &from).await?.size;
    let id = task.storage.as_ref().unwrap_or(from.storage()).clone();
    let target = cx.node.storage(&id).await?;
    if !target.config().takes(ContentType::Images) {
        let text = format!("storage '{id}' does not support content-type 'images'");
        return Err(Error::conflict(text));
    }
    target.activate().await?;
    let original = source.config().image_format(from.name())?;
    let format = match task.format {
        // What a security module keeps is read as it is.
        _ if slot == DriveSlot::TPM => BlockFormat::Raw,
        Some(format) => format,
        None => target.config().spec.format_of_copy(original),
    };
    let name = target.choose_image_name(task.vmid, format, taken).await?;
    Ok(Copy {
        slot,
        to: volumes::named(&id, name)?,
        from,
        format,
        bytes,
        how,
        grown: None,
    })
}

/// Options that are about the original alone.
const NOT_COPIED: [&str; 6] = [
    "parent", "lock", "template", "vmstate", "digest", "snaptime",
];

/// The options of the new guest: what distinguishes two guests is made anew.
async fn configured(
    cx: &Cx,
    task: &QemuClone,
    mut options: GuestConfig,
    copies: &[Copy],
) -> Result<GuestConfig, Error> {
    let original = options.text("name");
    options
        .0
        .retain(|name, _| !NOT_COPIED.contains(&name.as_str()) && !name.starts_with("unused"));
    for copy in copies {
        let slot = copy.slot.to_string();
        set_volume(&mut options, &slot, &copy.to)?;
        if let Some(bytes) = copy.grown {
            note_size(&mut options, &slot, bytes)?;
        }
    }
    let cluster = cx.node.records.cluster_options().await?;
    let nets: Vec<String> = options
        .0
        .keys()
        .filter(|name| is_indexed(name, "net"))
        .cloned()
        .collect();
    for name in nets {
        let text = options.text(&name).unwrap_or_default();
        let mut net = Net::parse(&text).map_err(|error| Error::bug(error.to_string()))?;
        net.mac = Some(random_mac(cluster.mac_prefix(), &cx.node.name));
        options.set(name, net.print());
    }
    let uuid = || Uuid::new_v4().to_string();
    let smbios = options.text("smbios1").unwrap_or_default();
    let mut smbios = Smbios::parse(&smbios).unwrap_or_default();
    smbios.uuid = Some(uuid());
    options.set("smbios1", smbios.print());
    if options.text("vmgenid").is_some_and(|id| id != "0") {
        options.set("vmgenid", uuid());
    }
    options.set("meta", format!("ctime={}", cx.clock.wall()));
    let name = task.name.clone().unwrap_or_else(|| match original {
        Some(original) => format!("Copy-of-VM-{original}"),
        None => format!("Copy-of-VM-{}", task.source),
    });
    options.set("name", name);
    if let Some(description) = &task.description {
        options.set("description", description.trim_end());
    }
    for (name, value) in &task.changes.options {
        options.set(name, value.clone());
    }
    Ok(options)
}

struct CopyDisks;

#[async_trait]
impl Step<QemuClone> for CopyDisks {
    fn name(&self) -> &'static str {
        "copy"
    }

    async fn act(&self, cx: &Cx, task: &mut QemuClone) -> Result<(), Error> {
        announce(cx, task);
        for copy in &task.copies {
            make(cx, task, copy).await?;
            if let Some(bytes) = copy.grown {
                let storage = cx.node.storage(copy.to.storage()).await?;
                storage.resize(copy.to.name(), bytes).await?;
            }
        }
        live_copy::run(cx, task.source, &task.live_copies(), task.bytes_per_s).await
    }

    async fn undo(&self, cx: &Cx, task: &QemuClone) -> Result<(), Error> {
        live_copy::cancel(cx, task.source, &task.live_copies()).await?;
        for copy in &task.copies {
            if copy.how == How::Copy {
                images::let_go(cx, &copy.from, task.snapshot.as_deref()).await?;
            }
            let storage = cx.node.storage(copy.to.storage()).await?;
            storage.free(copy.to.name()).await?;
        }
        Ok(())
    }
}

/// Makes a disk, as far as that is not QEMU's to do.
async fn make(cx: &Cx, task: &QemuClone, copy: &Copy) -> Result<(), Error> {
    let Copy { slot, from, to, .. } = copy;
    let storage = cx.node.storage(to.storage()).await?;
    if copy.how == How::Linked {
        cx.log(&format!("{slot}: '{to}' is a linked clone of '{from}'"))
            .await;
        let clones = linked_clones_of(&*storage, to)?;
        return Ok(clones.create_clone(from.name(), to.name()).await?);
    }
    if copy.how != How::Empty {
        cx.log(&format!("{slot}: copying '{from}' to '{to}'")).await;
    }
    storage.allocate(to.name(), copy.format, copy.bytes).await?;
    match copy.how {
        How::Copy => copy_image(cx, task, copy).await,
        How::LiveCopy | How::Empty | How::Linked => Ok(()),
    }
}

async fn copy_image(cx: &Cx, task: &QemuClone, copy: &Copy) -> Result<(), Error> {
    let source = Source::of_volume(cx, &copy.from, task.snapshot.as_deref()).await?;
    let copying = Copying {
        what: &copy.slot.to_string(),
        to: &copy.to,
        bytes: copy.bytes,
        bytes_per_s: task.bytes_per_s,
    };
    images::copy(cx, source, copying).await
}
