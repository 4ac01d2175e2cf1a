//! Gives blocks back to the storages that the file systems of a container do not use.

use async_trait::async_trait;
use guest::lxc::CtConfig;
use model::lxc::MountSlot;
use model::{Error, GuestRecord, VmId};
use serde::{Deserialize, Serialize};
use sys::CellSource;
use tasks::{Step, Steps, Task, TaskContext};

use super::claim::{Claim, Claims, Release};
use super::guest_object;
use super::lxc_upkeep::{check_upkeep, config_of, let_go, own_mounts};
use crate::NodeContext;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LxcFstrim {
    pub vmid: VmId,
    /// Only the root's.
    pub ignore_mount_points: bool,
}

impl Task for LxcFstrim {
    type Node = NodeContext;
    const NAME: &'static str = "lxc_fstrim";
    const VERSION: u32 = 1;
    const KIND: &'static str = "vzfstrim";

    fn steps() -> Steps<Self> {
        Steps {
            before: &[&Claim, &Trim],
            after: &[&Release],
        }
    }

    fn object(&self) -> Option<String> {
        Some(guest_object(self.vmid))
    }
}

impl Claims for LxcFstrim {
    const SHOWN_AS: &'static str = "fstrim";

    fn vmid(&self) -> VmId {
        self.vmid
    }

    fn check(&self, guest: &GuestRecord) -> Result<(), Error> {
        check_upkeep(guest)
    }
}

type Cx = TaskContext<NodeContext>;

struct Trim;

impl Trim {
    async fn all(cx: &Cx, task: &LxcFstrim, config: &CtConfig) -> Result<(), Error> {
        for (slot, point, mount) in own_mounts(cx, task.vmid, config).await? {
            let is_left_out = task.ignore_mount_points && slot != MountSlot::Root;
            let is_folder = matches!(mount.source, CellSource::Folder(_));
            if is_left_out || is_folder || point.is_read_only() {
                continue;
            }
            let path = point.path();
            match cx.node.host.trim_mount(&mount).await {
                Ok(bytes) => cx.log(&format!("{path}: {bytes} bytes trimmed")).await,
                // Its storage cannot take blocks back.
                Err(error) => cx.warn(&format!("{slot}: {}", Error::chain(&error))).await,
            }
        }
        Ok(())
    }
}

#[async_trait]
impl Step<LxcFstrim> for Trim {
    fn name(&self) -> &'static str {
        "trim"
    }

    /// What the undo reads too: it cannot end where that fails.
    async fn plan(&self, cx: &Cx, task: &mut LxcFstrim) -> Result<(), Error> {
        config_of(cx, task.vmid).await.map(drop)
    }

    async fn act(&self, cx: &Cx, task: &mut LxcFstrim) -> Result<(), Error> {
        let config = config_of(cx, task.vmid).await?;
        let trimmed = Self::all(cx, task, &config).await;
        let_go(cx, task.vmid, &config).await?;
        trimmed
    }

    async fn undo(&self, cx: &Cx, task: &LxcFstrim) -> Result<(), Error> {
        let_go(cx, task.vmid, &config_of(cx, task.vmid).await?).await
    }
}
