//! Makes a virtual machine a template: its disks become bases of linked clones.
//!
//! ```text
//!   claim ─ rename ─ publish ┃ release
//!             │              ┃ point of no return: the record says template and names the bases
//!             vm-100-disk-0 is called base-100-disk-0
//! ```

use async_trait::async_trait;
use guest::qemu::VmConfig;
use model::qemu::{Drive, DriveSlot};
use model::{Error, GuestRecord, VmId, VolumeId};
use serde::{Deserialize, Serialize};
use storage::LinkedClones;
use tasks::{Probe, Step, Steps, Task, TaskContext};

use super::claim::{Claim, Claims, Release, check_lock};
use super::guest_object;
use crate::qemu::drives;
use crate::{NodeContext, volumes};

/// A disk that becomes a base.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Renaming {
    slot: DriveSlot,
    from: VolumeId,
    to: VolumeId,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct QemuTemplate {
    pub vmid: VmId,
    /// Only this disk becomes a base; the guest does not become a template.
    pub disk: Option<DriveSlot>,
    /// Chosen by `rename`.
    #[serde(default)]
    renamings: Vec<Renaming>,
}

impl QemuTemplate {
    pub fn new(vmid: VmId, disk: Option<DriveSlot>) -> Self {
        Self {
            vmid,
            disk,
            renamings: Vec::new(),
        }
    }
}

impl Task for QemuTemplate {
    type Node = NodeContext;
    const NAME: &'static str = "qemu_template";
    const VERSION: u32 = 1;
    const KIND: &'static str = "qmtemplate";

    fn steps() -> Steps<Self> {
        Steps {
            before: &[&Claim, &Rename, &Publish],
            after: &[&Release],
        }
    }

    fn object(&self) -> Option<String> {
        Some(guest_object(self.vmid))
    }
}

impl Claims for QemuTemplate {
    const SHOWN_AS: &'static str = "";

    fn vmid(&self) -> VmId {
        self.vmid
    }

    fn check(&self, guest: &GuestRecord) -> Result<(), Error> {
        self.check_guest(guest)?;
        check_lock(guest, false)
    }
}

impl QemuTemplate {
    /// Refuses what could not be done, before it is a task.
    pub async fn check(&self, node: &NodeContext, guest: &GuestRecord) -> Result<(), Error> {
        self.check_guest(guest)?;
        self.check_stopped(node).await
    }

    async fn check_stopped(&self, node: &NodeContext) -> Result<(), Error> {
        if node.running.is_running(self.vmid).await? {
            return Err(Error::conflict(
                "you can't convert a VM to template if VM is running",
            ));
        }
        Ok(())
    }

    fn check_guest(&self, guest: &GuestRecord) -> Result<(), Error> {
        if !guest.snapshots.is_empty() {
            return Err(Error::conflict(
                "unable to create template, because VM contains snapshots",
            ));
        }
        if guest.config.flag("template") == Some(true) && self.disk.is_none() {
            return Err(Error::conflict(
                "you can't convert a template to a template",
            ));
        }
        Ok(())
    }
}

type Cx = TaskContext<NodeContext>;

struct Rename;

#[async_trait]
impl Step<QemuTemplate> for Rename {
    fn name(&self) -> &'static str {
        "rename"
    }

    async fn plan(&self, cx: &Cx, task: &mut QemuTemplate) -> Result<(), Error> {
        let vmid = task.vmid;
        task.check_stopped(&cx.node).await?;
        let guest = cx.node.records.qemu(vmid).await?.record.data;
        let config = VmConfig::parse(&guest.config).map_err(Error::invalid_fields)?;
        let mut renamings = Vec::new();
        for (slot, from) in drives::disks_of(&config) {
            if task.disk.is_some_and(|disk| disk != slot) {
                continue;
            }
            let storage = cx.node.storage(from.storage()).await?;
            let clones = linked_clones_of(&*storage, &from)?;
            let said = storage.config().parse(from.name())?;
            if said.is_base || said.owner != Some(vmid) {
                continue;
            }
            storage.activate().await?;
            clones.check_fit_for_base(from.name()).await?;
            let name = clones.base_name(from.name())?;
            let to = volumes::named(from.storage(), name)?;
            if storage.stat(to.name()).await?.is_some() {
                return Err(Error::conflict(format!("volume '{to}' already exists")));
            }
            renamings.push(Renaming { slot, from, to });
        }
        if let Some(disk) = task.disk
            && renamings.is_empty()
        {
            let text = format!("disk '{disk}' cannot become a base image");
            return Err(Error::conflict(text));
        }
        task.renamings = renamings;
        Ok(())
    }

    async fn act(&self, cx: &Cx, task: &mut QemuTemplate) -> Result<(), Error> {
        for Renaming { from, to, .. } in &task.renamings {
            let storage = cx.node.storage(from.storage()).await?;
            storage.rename(from.name(), to.name()).await?;
            cx.log(&format!("'{from}' becomes '{to}'")).await;
        }
        Ok(())
    }

    async fn undo(&self, cx: &Cx, task: &QemuTemplate) -> Result<(), Error> {
        for Renaming { from, to, .. } in &task.renamings {
            let storage = cx.node.storage(from.storage()).await?;
            if storage.stat(from.name()).await?.is_none() {
                storage.rename(to.name(), from.name()).await?;
            }
        }
        Ok(())
    }
}

/// How a storage makes linked clones; a clear word where it has no such thing.
pub(super) fn linked_clones_of<'a>(
    storage: &'a dyn storage::Storage,
    volume: &VolumeId,
) -> Result<&'a dyn LinkedClones, Error> {
    let id = volume.storage();
    let none = || Error::conflict(format!("storage '{id}' does not support base images"));
    storage.linked_clones().ok_or_else(none)
}

struct Publish;

#[async_trait]
impl Step<QemuTemplate> for Publish {
    fn name(&self) -> &'static str {
        "publish"
    }

    async fn probe(&self, cx: &Cx, task: &mut QemuTemplate) -> Result<Probe, Error> {
        let before = cx.node.records.qemu(task.vmid).await?.record.data;
        let mut after = before.clone();
        convert(task, &mut after)?;
        Ok(if after == before {
            Probe::Done
        } else {
            Probe::NotDone
        })
    }

    async fn act(&self, cx: &Cx, task: &mut QemuTemplate) -> Result<(), Error> {
        let change = |guest: &mut GuestRecord| convert(task, guest);
        let revision = cx.node.records.change_guest(task.vmid, change).await?;
        cx.committed(revision.0);
        Ok(())
    }
}

/// Names the bases in a record, and says that it is a template.
fn convert(task: &QemuTemplate, guest: &mut GuestRecord) -> Result<(), Error> {
    for Renaming { slot, to, .. } in &task.renamings {
        set_volume(&mut guest.config, *slot, to)?;
    }
    if task.disk.is_none() {
        guest.config.set("template", 1);
    }
    Ok(())
}

/// Puts another volume behind a drive of a configuration; its other keys stay.
pub(super) fn set_volume(
    config: &mut model::GuestConfig,
    slot: DriveSlot,
    volume: &VolumeId,
) -> Result<(), Error> {
    let name = slot.to_string();
    let text = config.text(&name).unwrap_or_default();
    let mut drive = Drive::parse(slot.bus(), &text).map_err(|e| Error::bug(e.to_string()))?;
    drive.set_volume(volume);
    config.set(name, drive.print());
    Ok(())
}
