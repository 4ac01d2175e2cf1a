//! Starts guests, in the order of their `startup`, and lets paused ones go on.

use async_trait::async_trait;
use model::{Error, GuestKind, VmId};
use serde::{Deserialize, Serialize};
use tasks::{Step, Steps, Task, TaskContext};

use super::bulk::{self, Action, Order, run};
use super::{Chosen, QemuResume, qmp_failed};
use crate::NodeContext;
use crate::guests::startup_order::StartupOrder;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BulkStart {
    pub chosen: Chosen,
    /// How long each start may take.
    pub timeout_s: Option<u64>,
    #[serde(default)]
    pub failed: Vec<VmId>,
}

impl Task for BulkStart {
    type Node = NodeContext;
    const NAME: &'static str = "bulk_start";
    const VERSION: u32 = 1;
    const KIND: &'static str = "bulk-start";

    /// Guests that were started are not stopped again.
    fn steps() -> Steps<Self> {
        Steps {
            before: &[],
            after: &[&StartGuests],
        }
    }

    fn object(&self) -> Option<String> {
        None
    }

    fn verdict(&self) -> Result<(), Error> {
        START.verdict(&self.failed)
    }
}

const START: Action = Action {
    doing: "Starting",
    failed_to: "start:",
    order: Order::Startup,
};

struct StartGuests;

#[async_trait]
impl Step<BulkStart> for StartGuests {
    fn name(&self) -> &'static str {
        "start-guests"
    }

    async fn act(&self, cx: &TaskContext<NodeContext>, task: &mut BulkStart) -> Result<(), Error> {
        let timeout_s = task.timeout_s;
        let start = |guest| start(cx, guest, timeout_s);
        task.failed = START.on(cx, &task.chosen, start).await?;
        Ok(())
    }
}

async fn start(
    cx: &TaskContext<NodeContext>,
    guest: StartupOrder,
    timeout_s: Option<u64>,
) -> Result<(), Error> {
    let vmid = guest.vmid;
    if !cx.node.running.is_running(vmid).await? {
        cx.log(&format!("Starting {} {vmid}", guest.kind.word()))
            .await;
        return bulk::start(cx, &guest, timeout_s).await;
    }
    if guest.kind == GuestKind::Lxc {
        return Err(Error::conflict(format!("CT {vmid} already running")));
    }
    let status = cx.node.running.qmp(vmid).await?.status().await;
    if status.map_err(qmp_failed)?.state == "paused" {
        cx.log(&format!("Resuming VM {vmid}")).await;
        return run(cx, vmid, QemuResume::new(vmid)).await;
    }
    let text = format!("Skipping VM {vmid}, already running.");
    cx.warn(&text).await;
    Ok(())
}
