//! Stops a virtual machine at once, as pulling the plug would.
//!
//! It works without the store: its only step is on this host, and an administrator's script that
//! cannot be found for want of the store is warned of.

use async_trait::async_trait;
use model::{Error, Upid, VmId};
use serde::{Deserialize, Serialize};
use tasks::{Step, Steps, Task, TaskContext};

use super::guest_object;
use crate::NodeContext;
use crate::guests::hooks::{self, Phase};

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct QemuStop {
    pub vmid: VmId,
    /// Tasks that were ended for it: they waited for the guest to shut down.
    #[serde(default)]
    pub overruled: Vec<Upid>,
}

impl QemuStop {
    pub fn new(vmid: VmId) -> Self {
        Self {
            vmid,
            overruled: Vec::new(),
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
}

struct Kill;

#[async_trait]
impl Step<QemuStop> for Kill {
    fn name(&self) -> &'static str {
        "kill"
    }

    async fn act(&self, cx: &TaskContext<NodeContext>, task: &mut QemuStop) -> Result<(), Error> {
        if !task.overruled.is_empty() {
            let upids: Vec<String> = task.overruled.iter().map(Upid::to_string).collect();
            let line = format!("overruled qmshutdown tasks: {}", upids.join(", "));
            cx.log(&line).await;
        }
        if cx.node.running.is_running(task.vmid).await? {
            hooks::call_or_warn(cx, task.vmid, Phase::PreStop).await;
        }
        cx.node.remove_traces(task.vmid).await?;
        hooks::call_or_warn(cx, task.vmid, Phase::PostStop).await;
        Ok(())
    }
}
