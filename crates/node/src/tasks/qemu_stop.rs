//! Stops a virtual machine at once: for the guest it is as if the plug was pulled, but QEMU closes its
//! images in order.
//!
//! It works without the store: its only step is on this host, and an administrator's script that
//! cannot be found for want of the store is warned of.

use async_trait::async_trait;
use model::{Error, Upid, VmId};
use serde::{Deserialize, Serialize};
use tasks::{Steps, Task, TaskContext};

use super::guest_object;
use super::kill::{Kill, Kills, lingering, quit};
use crate::NodeContext;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct QemuStop {
    pub vmid: VmId,
    /// Tasks that were ended for it: they waited for the guest to shut down.
    #[serde(default)]
    pub overruled: Vec<Upid>,
    /// Found by its step.
    #[serde(default)]
    lingers: bool,
}

impl QemuStop {
    pub fn new(vmid: VmId) -> Self {
        Self {
            vmid,
            overruled: Vec::new(),
            lingers: false,
        }
    }
}

impl Task for QemuStop {
    type Node = NodeContext;
    const NAME: &'static str = "qemu_stop";
    const VERSION: u32 = 1;
    const KIND: &'static str = "qmstop";
    const IS_URGENT: bool = true;
    const ON_FULL_DISK: bool = true;

    /// What has begun to die is not brought back.
    fn steps() -> Steps<Self> {
        Steps {
            before: &[],
            after: &[&Kill],
        }
    }

    fn object(&self) -> Option<String> {
        Some(guest_object(self.vmid))
    }

    fn verdict(&self) -> Result<(), Error> {
        match self.lingers {
            true => Err(lingering(self.vmid)),
            false => Ok(()),
        }
    }
}

#[async_trait]
impl Kills for QemuStop {
    fn vmid(&self) -> VmId {
        self.vmid
    }

    async fn quit(&self, cx: &TaskContext<NodeContext>) {
        quit(cx, self.vmid).await;
    }

    fn overruled(&self) -> &[Upid] {
        &self.overruled
    }

    fn lingers(&mut self) -> &mut bool {
        &mut self.lingers
    }
}
