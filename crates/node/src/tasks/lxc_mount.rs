//! Mounts the file systems of a container that does not run where root of the host can work on them.
//!
//! ```text
//!   claim ─ mount ─ lock ┃ release
//!                   └ `lock: mounted`, until `lxc_unmount`
//! ```

use async_trait::async_trait;
use model::{Error, GuestRecord, VmId};
use serde::{Deserialize, Serialize};
use tasks::{Step, Steps, Task, TaskContext};

use super::claim::{Claim, Claims, MOUNTED, Release};
use super::guest_object;
use super::lxc_upkeep::{check_upkeep, config_of, for_the_host};
use crate::NodeContext;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LxcMount {
    pub vmid: VmId,
}

impl Task for LxcMount {
    type Node = NodeContext;
    const NAME: &'static str = "lxc_mount";
    const VERSION: u32 = 1;
    const KIND: &'static str = "vzmount";

    fn steps() -> Steps<Self> {
        Steps {
            before: &[&Claim, &Mount, &Lock],
            after: &[&Release],
        }
    }

    fn object(&self) -> Option<String> {
        Some(guest_object(self.vmid))
    }
}

impl Claims for LxcMount {
    const SHOWN_AS: &'static str = MOUNTED;

    fn vmid(&self) -> VmId {
        self.vmid
    }

    fn check(&self, guest: &GuestRecord) -> Result<(), Error> {
        check_upkeep(guest)
    }
}

type Cx = TaskContext<NodeContext>;

/// The mode of the folders above the container's root: other users of the host do not come there.
const FOLDER_MODE: u32 = 0o700;

struct Mount;

#[async_trait]
impl Step<LxcMount> for Mount {
    fn name(&self) -> &'static str {
        "mount"
    }

    async fn plan(&self, cx: &Cx, task: &mut LxcMount) -> Result<(), Error> {
        let vmid = task.vmid;
        if cx.node.running.is_running(vmid).await? {
            return Err(Error::conflict(format!("CT {vmid} is running")));
        }
        // What the undo reads too.
        config_of(cx, vmid).await.map(drop)
    }

    async fn act(&self, cx: &Cx, task: &mut LxcMount) -> Result<(), Error> {
        let config = config_of(cx, task.vmid).await?;
        let folder = cx.node.paths.mounted(task.vmid);
        cx.node.host.create_dir(&folder, FOLDER_MODE).await?;
        let cell = for_the_host(cx, task.vmid, &config).await?;
        cx.node.host.mount_cell(&cell).await?;
        let folder = folder.display();
        cx.log(&format!("mounted CT {} in '{folder}'", task.vmid))
            .await;
        Ok(())
    }

    async fn undo(&self, cx: &Cx, task: &LxcMount) -> Result<(), Error> {
        unmount(cx, task.vmid).await?;
        let_go_of_host(cx, task.vmid).await
    }
}

/// Unmounts a container's file systems. False if nothing was mounted. The folder of all stays: another
/// container may be about to be mounted there.
pub(super) async fn unmount(cx: &Cx, vmid: VmId) -> Result<bool, Error> {
    let folder = cx.node.paths.mounted(vmid);
    let was = cx.node.host.unmount_cell(&folder).await?;
    cx.node.host.remove_dir(&folder).await?;
    Ok(was)
}

/// Lets the volumes go that were mounted on the host. One that runs has them by the same name, and
/// keeps them.
pub(super) async fn let_go_of_host(cx: &Cx, vmid: VmId) -> Result<(), Error> {
    if cx.node.running.is_running(vmid).await? {
        return Ok(());
    }
    let config = config_of(cx, vmid).await?;
    let by = cx.node.by_guest(vmid).await?;
    cx.node.detach_container(&config, &by).await
}

struct Lock;

#[async_trait]
impl Step<LxcMount> for Lock {
    fn name(&self) -> &'static str {
        "lock"
    }

    async fn act(&self, cx: &Cx, task: &mut LxcMount) -> Result<(), Error> {
        let lock = |guest: &mut GuestRecord| {
            guest.config.set("lock", MOUNTED);
            Ok(())
        };
        let revision = cx.node.records.change_guest(task.vmid, lock).await?;
        cx.committed(revision.0);
        Ok(())
    }

    async fn undo(&self, cx: &Cx, task: &LxcMount) -> Result<(), Error> {
        unlock(cx, task.vmid).await
    }
}

/// Takes the lock off, if it is this one.
pub(super) async fn unlock(cx: &Cx, vmid: VmId) -> Result<(), Error> {
    let unlock = |guest: &mut GuestRecord| {
        if guest.config.text("lock").as_deref() == Some(MOUNTED) {
            guest.config.0.remove("lock");
        }
        Ok(())
    };
    let revision = cx.node.records.change_guest(vmid, unlock).await?;
    cx.committed(revision.0);
    Ok(())
}
