//! Starts or stops the guests of a node, in the order of their `startup`.
//!
//! Its work is the tasks of the guests themselves. A guest that cannot be started or stopped is
//! warned of and holds up nobody.

use std::time::Duration;

use async_trait::async_trait;
use model::{Error, Upid, VmId};
use serde::{Deserialize, Serialize};
use tasks::{Engine, Step, Steps, Submission, Task, TaskContext, TaskState};

use super::{QemuShutdown, QemuStart};
use crate::NodeContext;
use crate::guests::startup_order::{self, StartupOrder};

/// How many guests of the same turn are worked on together, where nobody says.
const WORKERS: usize = 4;

/// Which guests.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Chosen {
    /// These only; none: all of the node.
    pub vmids: Option<Vec<VmId>>,
    /// At the same time.
    pub workers: Option<usize>,
}

impl Chosen {
    async fn of(&self, node: &NodeContext) -> Result<Vec<StartupOrder>, Error> {
        let mut guests = startup_order::guests(node).await?;
        if let Some(vmids) = &self.vmids {
            guests.retain(|guest| vmids.contains(&guest.vmid));
        }
        Ok(guests)
    }

    /// As asked for, as the cluster's options say, or a few.
    async fn workers(&self, node: &NodeContext) -> Result<usize, Error> {
        let options = node.records.cluster_options().await?;
        let workers = self.workers.or(options.max_workers());
        Ok(workers.unwrap_or(WORKERS).max(1))
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NodeStartall {
    pub chosen: Chosen,
    /// Also guests that do not start with the node.
    pub force: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NodeStopall {
    pub chosen: Chosen,
    /// How long each guest may take, where its configuration does not say.
    pub timeout_s: u64,
    /// What does not end in time is stopped.
    pub force_stop: bool,
}

impl Task for NodeStartall {
    type Node = NodeContext;
    const NAME: &'static str = "node_startall";
    const VERSION: u32 = 1;
    const KIND: &'static str = "startall";

    /// Guests that were started are not stopped again.
    fn steps() -> Steps<Self> {
        Steps {
            before: &[],
            after: &[&StartAll],
        }
    }

    fn object(&self) -> Option<String> {
        None
    }
}

impl Task for NodeStopall {
    type Node = NodeContext;
    const NAME: &'static str = "node_stopall";
    const VERSION: u32 = 1;
    const KIND: &'static str = "stopall";

    fn steps() -> Steps<Self> {
        Steps {
            before: &[],
            after: &[&StopAll],
        }
    }

    fn object(&self) -> Option<String> {
        None
    }
}

type Cx = TaskContext<NodeContext>;

struct StartAll;

#[async_trait]
impl Step<NodeStartall> for StartAll {
    fn name(&self) -> &'static str {
        "start-all"
    }

    async fn act(&self, cx: &Cx, task: &mut NodeStartall) -> Result<(), Error> {
        let workers = task.chosen.workers(&cx.node).await?;
        let mut guests = task.chosen.of(&cx.node).await?;
        guests.retain(|guest| task.force || guest.on_boot);
        if !task.force {
            let delay_s = startup_order::onboot_delay_s(&cx.node).await?;
            if delay_s > 0 {
                cx.log(&format!("waiting for {delay_s} seconds first"))
                    .await;
            }
            cx.clock.sleep(Duration::from_secs(delay_s)).await;
        }
        for group in startup_order::groups(guests) {
            let delay_s = group.iter().map(|guest| guest.delay_s).max();
            for some in group.chunks(workers) {
                let mut upids = Vec::new();
                for guest in some {
                    if cx.node.running.is_running(guest.vmid).await? {
                        continue;
                    }
                    cx.log(&format!("Starting VM {}", guest.vmid)).await;
                    let start = QemuStart::new(guest.vmid, None, false);
                    upids.push(submit(cx, guest.vmid, start).await?);
                }
                wait_for_all(cx, &upids).await?;
            }
            // Guests that others need are up before those begin.
            let delay = Duration::from_secs(delay_s.unwrap_or(0));
            cx.clock.sleep(delay).await;
        }
        Ok(())
    }
}

struct StopAll;

#[async_trait]
impl Step<NodeStopall> for StopAll {
    fn name(&self) -> &'static str {
        "stop-all"
    }

    async fn act(&self, cx: &Cx, task: &mut NodeStopall) -> Result<(), Error> {
        let workers = task.chosen.workers(&cx.node).await?;
        let guests = task.chosen.of(&cx.node).await?;
        for group in startup_order::groups(guests).into_iter().rev() {
            for some in group.chunks(workers) {
                let mut upids = Vec::new();
                for guest in some {
                    if !cx.node.running.is_running(guest.vmid).await? {
                        continue;
                    }
                    let timeout_s = guest.down_s.unwrap_or(task.timeout_s);
                    let text =
                        format!("Stopping VM {} (timeout = {timeout_s} seconds)", guest.vmid);
                    cx.log(&text).await;
                    let shutdown = QemuShutdown {
                        vmid: guest.vmid,
                        timeout_s: Some(timeout_s),
                        force_stop: task.force_stop,
                    };
                    upids.push(submit(cx, guest.vmid, shutdown).await?);
                }
                wait_for_all(cx, &upids).await?;
            }
        }
        Ok(())
    }
}

/// Submits a guest's task in the name of whoever asked for all. Once, also where this task is cut
/// off and begins again.
async fn submit<T: Task<Node = NodeContext>>(cx: &Cx, vmid: VmId, task: T) -> Result<Upid, Error> {
    let engine = cx.engine()?;
    let submission = Submission {
        request_id: format!("{} {vmid}", cx.upid),
        user: cx.upid.user.clone(),
        id: vmid.to_string(),
        listed: true,
    };
    engine.submit(submission, task).await
}

async fn wait_for_all(cx: &Cx, upids: &[Upid]) -> Result<(), Error> {
    let engine: std::sync::Arc<Engine<NodeContext>> = cx.engine()?;
    for upid in upids {
        if let TaskState::Ended { status, .. } = engine.wait(upid).await?.state
            && status != "OK"
        {
            cx.warn(&format!("VM {}: {status}", upid.id)).await;
        }
    }
    Ok(())
}
