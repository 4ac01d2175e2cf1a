//! Moves a file system of a container to another storage.
//!
//! ```text
//!   claim ─ choose ─ copy ─ publish ┃ clear ─ release
//!                                   ┃ point of no return: the record names the copy
//! ```

use async_trait::async_trait;
use guest::lxc::CtConfig;
use model::{Error, GuestRecord, StorageId, VmId};
use serde::{Deserialize, Serialize};
use tasks::{Probe, Step, Steps, Task, TaskContext};

use super::claim::{Claim, Claims, Release, check_digest, check_lock};
use super::copy_file_system::{FileSystemCopy, Original};
use super::guest_object;
use super::volume_delete::free_unwanted;
use crate::NodeContext;
use crate::guests::options::{is_in_snapshot, replace_volume, volume_of};

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LxcMoveVolume {
    pub vmid: VmId,
    /// The option that names the volume: `rootfs`, `mp0`, `unused1`.
    pub option: String,
    pub storage: StorageId,
    /// Remove the original instead of keeping it as unused.
    pub delete: bool,
    pub digest: Option<String>,
    /// How fast at most; 0 for as fast as it goes.
    pub bytes_per_s: u64,
    /// Chosen by `choose`.
    #[serde(default)]
    copy: Option<FileSystemCopy>,
}

impl LxcMoveVolume {
    pub fn new(vmid: VmId, option: String, storage: StorageId) -> Self {
        Self {
            vmid,
            option,
            storage,
            delete: false,
            digest: None,
            bytes_per_s: 0,
            copy: None,
        }
    }

    fn copy(&self) -> Result<&FileSystemCopy, Error> {
        let missing = || Error::bug("the copy was not planned");
        self.copy.as_ref().ok_or_else(missing)
    }
}

impl Task for LxcMoveVolume {
    type Node = NodeContext;
    const NAME: &'static str = "lxc_move_volume";
    const VERSION: u32 = 1;
    const KIND: &'static str = "move_volume";

    fn steps() -> Steps<Self> {
        Steps {
            before: &[&Claim, &Choose, &Copy, &Publish],
            after: &[&Clear, &Release],
        }
    }

    fn object(&self) -> Option<String> {
        Some(guest_object(self.vmid))
    }
}

impl Claims for LxcMoveVolume {
    const SHOWN_AS: &'static str = "disk";

    fn vmid(&self) -> VmId {
        self.vmid
    }

    fn check(&self, guest: &GuestRecord) -> Result<(), Error> {
        check_digest(guest, self.digest.as_deref())?;
        check_lock(guest, false)?;
        if guest.pending.contains_key(&self.option) {
            let text = format!("'{}' has pending changes", self.option);
            return Err(Error::conflict(text));
        }
        Ok(())
    }
}

type Cx = TaskContext<NodeContext>;

struct Choose;

#[async_trait]
impl Step<LxcMoveVolume> for Choose {
    fn name(&self) -> &'static str {
        "choose"
    }

    async fn plan(&self, cx: &Cx, task: &mut LxcMoveVolume) -> Result<(), Error> {
        if cx.node.running.is_running(task.vmid).await? {
            let text = "cannot move volumes of a running container";
            return Err(Error::conflict(text));
        }
        let guest = cx.node.records.lxc(task.vmid).await?.record.data;
        let option = &task.option;
        let text = guest.config.text(option).unwrap_or_default();
        let first = text.split(',').next().unwrap_or_default();
        let none = || Error::conflict(format!("unable to parse volume ID '{first}'"));
        let volume = volume_of(option, &guest.config).ok_or_else(none)?;
        let names = cx.node.records.volume_names().await?;
        if task.delete {
            if is_in_snapshot(&guest, &volume, &names) {
                let text = "you can't move a volume with snapshots and delete the source";
                return Err(Error::conflict(text));
            }
            let volumes = std::slice::from_ref(&volume);
            cx.node.check_no_clones(volumes, &names).await?;
        }
        let original = Original {
            option,
            volume,
            snapshot: None,
        };
        let storage = Some(&task.storage);
        let copy = FileSystemCopy::plan(cx, task.vmid, original, storage, &[]).await?;
        task.copy = Some(copy);
        Ok(())
    }

    async fn probe(&self, _: &Cx, _: &mut LxcMoveVolume) -> Result<Probe, Error> {
        Ok(Probe::Done)
    }

    async fn act(&self, _: &Cx, _: &mut LxcMoveVolume) -> Result<(), Error> {
        Ok(())
    }
}

struct Copy;

#[async_trait]
impl Step<LxcMoveVolume> for Copy {
    fn name(&self) -> &'static str {
        "copy"
    }

    async fn probe(&self, _: &Cx, _: &mut LxcMoveVolume) -> Result<Probe, Error> {
        // Before the point of no return nothing is gone on with.
        Ok(Probe::NotDone)
    }

    async fn act(&self, cx: &Cx, task: &mut LxcMoveVolume) -> Result<(), Error> {
        let guest = cx.node.records.lxc(task.vmid).await?.record.data;
        let config = CtConfig::parse(&guest.config).map_err(Error::invalid_fields)?;
        task.copy()?.make(cx, &config, task.bytes_per_s).await
    }

    async fn undo(&self, cx: &Cx, task: &LxcMoveVolume) -> Result<(), Error> {
        task.copy()?.remove(cx).await
    }
}

struct Publish;

#[async_trait]
impl Step<LxcMoveVolume> for Publish {
    fn name(&self) -> &'static str {
        "publish"
    }

    async fn probe(&self, cx: &Cx, task: &mut LxcMoveVolume) -> Result<Probe, Error> {
        let guest = cx.node.records.lxc(task.vmid).await?.record.data;
        let named = volume_of(&task.option, &guest.config);
        let is_done = named.as_ref() == Some(&task.copy()?.to);
        Ok(if is_done { Probe::Done } else { Probe::NotDone })
    }

    async fn act(&self, cx: &Cx, task: &mut LxcMoveVolume) -> Result<(), Error> {
        let copy = task.copy()?;
        let names = cx.node.records.volume_names().await?;
        let change = |guest: &mut GuestRecord| {
            let option = &copy.option;
            replace_volume(guest, option, &copy.to, copy.bytes, &names, task.delete)
        };
        let revision = cx.node.records.change_guest(task.vmid, change).await?;
        cx.committed(revision.0);
        Ok(())
    }

    async fn undo(&self, cx: &Cx, task: &LxcMoveVolume) -> Result<(), Error> {
        // A commit whose answer was lost and whose result was unknown for a time.
        let copy = task.copy()?;
        let names = cx.node.records.volume_names().await?;
        let take_back = |guest: &mut GuestRecord| {
            if volume_of(&task.option, &guest.config).as_ref() != Some(&copy.to) {
                return Ok(());
            }
            replace_volume(guest, &copy.option, &copy.from, copy.bytes, &names, true)
        };
        cx.node.records.change_guest(task.vmid, take_back).await?;
        Ok(())
    }
}

/// Removes the original where that is wanted and it is this container's.
struct Clear;

#[async_trait]
impl Step<LxcMoveVolume> for Clear {
    fn name(&self) -> &'static str {
        "clear"
    }

    async fn act(&self, cx: &Cx, task: &mut LxcMoveVolume) -> Result<(), Error> {
        let copy = task.copy()?;
        let names = cx.node.records.volume_names().await?;
        let is_own = names.owner(&copy.from) == Some(task.vmid);
        if task.delete && is_own {
            free_unwanted(cx, &copy.from).await?;
        }
        Ok(())
    }
}
