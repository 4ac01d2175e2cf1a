//! Checks a file system of a container that does not run, and mends what can be mended without
//! questions.

use async_trait::async_trait;
use model::lxc::MountSlot;
use model::{BlockSource, Error, GuestRecord, VmId, VolumeId};
use serde::{Deserialize, Serialize};
use storage::{AttachMode, ContentType};
use tasks::{Step, Steps, Task, TaskContext};

use super::claim::{Claim, Claims, Release};
use super::guest_object;
use super::lxc_resize::{clear_check_mark, on_image, volume_of};
use super::lxc_upkeep::check_upkeep;
use crate::NodeContext;
use crate::volumes::attached::by_task;

const PROGRAM: &str = "e2fsck";

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LxcFsck {
    pub vmid: VmId,
    pub slot: MountSlot,
    /// Also a file system that seems clean.
    pub force: bool,
}

impl LxcFsck {
    /// Refuses what could not be done, before it is a task. Answers the volume.
    pub async fn check(&self, node: &NodeContext, guest: &GuestRecord) -> Result<VolumeId, Error> {
        Claims::check(self, guest)?;
        let none = |_| {
            let text = format!("CT {} has no volume at {}", self.vmid, self.slot);
            Error::invalid("device", text)
        };
        let volume = volume_of(self.slot, &guest.config).map_err(none)?;
        let storage = node.storage(volume.storage()).await?;
        if storage.config().parse(volume.name())?.content == ContentType::Rootdir {
            let text =
                format!("volume '{volume}' is a folder and has no file system to be checked");
            return Err(Error::invalid("device", text));
        }
        if node.running.is_running(self.vmid).await? {
            let text = format!(
                "CT {} is running, its file systems cannot be checked",
                self.vmid
            );
            return Err(Error::conflict(text));
        }
        Ok(volume)
    }
}

impl Task for LxcFsck {
    type Node = NodeContext;
    const NAME: &'static str = "lxc_fsck";
    const VERSION: u32 = 1;
    const KIND: &'static str = "vzfsck";

    fn steps() -> Steps<Self> {
        Steps {
            before: &[&Claim, &Check],
            after: &[&Release],
        }
    }

    fn object(&self) -> Option<String> {
        Some(guest_object(self.vmid))
    }
}

impl Claims for LxcFsck {
    const SHOWN_AS: &'static str = "disk";

    fn vmid(&self) -> VmId {
        self.vmid
    }

    fn check(&self, guest: &GuestRecord) -> Result<(), Error> {
        check_upkeep(guest)
    }
}

type Cx = TaskContext<NodeContext>;

struct Check;

impl Check {
    async fn volume(cx: &Cx, task: &LxcFsck) -> Result<VolumeId, Error> {
        let guest = cx.node.records.lxc(task.vmid).await?.record.data;
        task.check(&cx.node, &guest).await
    }

    /// Takes off what a check that was killed left: nothing can mount the image before.
    async fn clear_mark(cx: &Cx, volume: &VolumeId) -> Result<(), Error> {
        let by = by_task(cx);
        let spec = cx.node.attach(volume, AttachMode::Exclusive, &by).await?;
        match spec.source {
            BlockSource::File(path) | BlockSource::Device(path) => {
                clear_check_mark(cx, &path).await
            }
            other => Err(Error::bug(format!("{other:?} has no path"))),
        }
    }
}

#[async_trait]
impl Step<LxcFsck> for Check {
    fn name(&self) -> &'static str {
        "check"
    }

    /// What the undo reads too: it cannot end where that fails.
    async fn plan(&self, cx: &Cx, task: &mut LxcFsck) -> Result<(), Error> {
        Self::volume(cx, task).await.map(drop)
    }

    async fn act(&self, cx: &Cx, task: &mut LxcFsck) -> Result<(), Error> {
        let volume = Self::volume(cx, task).await?;
        let by = by_task(cx);
        let attached = cx.node.attach(&volume, AttachMode::Exclusive, &by).await;
        let checked = match attached.map(|spec| spec.source) {
            Ok(BlockSource::File(path) | BlockSource::Device(path)) => {
                let all: &[&str] = if task.force { &["-p", "-f"] } else { &["-p"] };
                on_image(cx, PROGRAM, all, &path).await
            }
            Ok(other) => Err(Error::bug(format!("{other:?} has no path"))),
            Err(error) => Err(error),
        };
        cx.node.detach(&volume, &by).await?;
        match checked? {
            // What was found was mended.
            output if matches!(output.code, Some(0..=2)) => Ok(()),
            output => Err(Error::from(output.checked(PROGRAM).err().unwrap_or_else(
                || sys::SysError::Unsupported("a check without an exit code".to_owned()),
            ))),
        }
    }

    async fn undo(&self, cx: &Cx, task: &LxcFsck) -> Result<(), Error> {
        let guest = cx.node.records.lxc(task.vmid).await?.record.data;
        let volume = volume_of(task.slot, &guest.config)?;
        if let Err(error) = Self::clear_mark(cx, &volume).await {
            // An image that cannot be reached must not keep the container busy.
            let text = format!("looking for the mark of a check: {}", Error::chain(&error));
            cx.warn(&text).await;
            // A program of it may still be there.
            let scope = cx.scope();
            if cx.node.host.scopes().await?.contains(&scope) {
                cx.node.host.kill_scope(&scope).await?;
            }
        }
        cx.node.detach(&volume, &by_task(cx)).await
    }
}
