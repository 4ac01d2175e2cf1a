//! Unmounts the file systems of a container that `lxc_mount` has mounted on the host.
//!
//! ```text
//!   claim ─ unmount ┃ unlock ─ release
//!           └ where one is in use, it stays mounted, with the lock
//! ```

use async_trait::async_trait;
use model::{Error, GuestRecord, VmId};
use serde::{Deserialize, Serialize};
use tasks::{Step, Steps, Task, TaskContext};

use super::claim::{Claim, Claims, MOUNTED, Release, check_lock};
use super::guest_object;
use super::lxc_mount::{let_go_of_host, unlock, unmount};
use crate::NodeContext;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LxcUnmount {
    pub vmid: VmId,
}

impl Task for LxcUnmount {
    type Node = NodeContext;
    const NAME: &'static str = "lxc_unmount";
    const VERSION: u32 = 1;
    const KIND: &'static str = "vzunmount";

    fn steps() -> Steps<Self> {
        Steps {
            before: &[&Claim, &Unmount],
            after: &[&Unlock, &Release],
        }
    }

    fn object(&self) -> Option<String> {
        Some(guest_object(self.vmid))
    }
}

impl Claims for LxcUnmount {
    const SHOWN_AS: &'static str = "";

    fn vmid(&self) -> VmId {
        self.vmid
    }

    fn check(&self, guest: &GuestRecord) -> Result<(), Error> {
        match guest.config.text("lock").as_deref() {
            Some(MOUNTED) => Ok(()),
            _ => check_lock(guest, false),
        }
    }
}

type Cx = TaskContext<NodeContext>;

struct Unmount;

#[async_trait]
impl Step<LxcUnmount> for Unmount {
    fn name(&self) -> &'static str {
        "unmount"
    }

    async fn act(&self, cx: &Cx, task: &mut LxcUnmount) -> Result<(), Error> {
        let vmid = task.vmid;
        let guest = cx.node.records.lxc(vmid).await?.record.data;
        let is_locked = guest.config.text("lock").is_some();
        // The host may have started again: then only the lock is left.
        match unmount(cx, vmid).await? || is_locked {
            true => let_go_of_host(cx, vmid).await,
            false => Err(Error::conflict(format!("CT {vmid} is not mounted"))),
        }
    }

    /// What was unmounted stays so. The lock says that the rest is to be unmounted.
    async fn undo(&self, _: &Cx, _: &LxcUnmount) -> Result<(), Error> {
        Ok(())
    }
}

struct Unlock;

#[async_trait]
impl Step<LxcUnmount> for Unlock {
    fn name(&self) -> &'static str {
        "unlock"
    }

    async fn act(&self, cx: &Cx, task: &mut LxcUnmount) -> Result<(), Error> {
        unlock(cx, task.vmid).await
    }
}
