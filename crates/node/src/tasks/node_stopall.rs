//! Shuts down the guests of a node, in the reverse order of their `startup`.

use async_trait::async_trait;
use model::Error;
use serde::{Deserialize, Serialize};
use tasks::{Step, Steps, Task, TaskContext};

use super::bulk::submit_shutdown;
use super::node_all::{Chosen, wait_for_all};
use crate::NodeContext;
use crate::guests::startup_order;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NodeStopall {
    pub chosen: Chosen,
    /// How long each guest may take, where its configuration does not say.
    pub timeout_s: u64,
    /// What does not end in time is stopped.
    pub force_stop: bool,
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

struct StopAll;

#[async_trait]
impl Step<NodeStopall> for StopAll {
    fn name(&self) -> &'static str {
        "stop-all"
    }

    async fn act(
        &self,
        cx: &TaskContext<NodeContext>,
        task: &mut NodeStopall,
    ) -> Result<(), Error> {
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
                    let (word, vmid) = (guest.kind.word(), guest.vmid);
                    let text = format!("Stopping {word} {vmid} (timeout = {timeout_s} seconds)");
                    cx.log(&text).await;
                    let shutdown = submit_shutdown(cx, guest, timeout_s, task.force_stop);
                    upids.push(shutdown.await?);
                }
                wait_for_all(cx, &upids).await?;
            }
        }
        Ok(())
    }
}
