//! Shuts down guests, in the reverse order of their `startup`.

use async_trait::async_trait;
use model::{Error, VmId};
use serde::{Deserialize, Serialize};
use tasks::{Step, Steps, Task, TaskContext};

use super::Chosen;
use super::bulk::{Action, Order, is_skipped, submit_shutdown, until_ended};
use crate::NodeContext;
use crate::guests::startup_order::StartupOrder;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BulkShutdown {
    pub chosen: Chosen,
    /// How long each guest may take, if its configuration does not say.
    pub timeout_s: u64,
    /// A guest that does not end in time is stopped.
    pub force_stop: bool,
    #[serde(default)]
    pub failed: Vec<VmId>,
}

impl Task for BulkShutdown {
    type Node = NodeContext;
    const NAME: &'static str = "bulk_shutdown";
    const VERSION: u32 = 1;
    const KIND: &'static str = "bulk-shutdown";

    fn steps() -> Steps<Self> {
        Steps {
            before: &[],
            after: &[&ShutDownGuests],
        }
    }

    fn object(&self) -> Option<String> {
        None
    }

    fn verdict(&self) -> Result<(), Error> {
        SHUTDOWN.verdict(&self.failed)
    }
}

const SHUTDOWN: Action = Action {
    doing: "Shutting down",
    failed_to: "shutdown",
    order: Order::Reverse,
};

struct ShutDownGuests;

#[async_trait]
impl Step<BulkShutdown> for ShutDownGuests {
    fn name(&self) -> &'static str {
        "shut-down-guests"
    }

    async fn act(
        &self,
        cx: &TaskContext<NodeContext>,
        task: &mut BulkShutdown,
    ) -> Result<(), Error> {
        let (timeout_s, force_stop) = (task.timeout_s, task.force_stop);
        let shut_down = |guest: StartupOrder| async move {
            let vmid = guest.vmid;
            if is_skipped(cx, vmid).await? {
                return Ok(());
            }
            let timeout_s = guest.down_s.unwrap_or(timeout_s);
            let word = guest.kind.word();
            let text = format!("Stopping {word} {vmid} (timeout = {timeout_s} seconds)");
            cx.log(&text).await;
            let upid = submit_shutdown(cx, &guest, timeout_s, force_stop).await?;
            until_ended(cx, &upid).await
        };
        task.failed = SHUTDOWN.on(cx, &task.chosen, shut_down).await?;
        Ok(())
    }
}
