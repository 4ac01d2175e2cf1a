//! Starts the guests of a node, in the order of their `startup`.

use std::time::Duration;

use async_trait::async_trait;
use model::Error;
use serde::{Deserialize, Serialize};
use tasks::{Step, Steps, Task, TaskContext};

use super::bulk::submit_start;
use super::node_all::{Chosen, wait_for_all};
use crate::NodeContext;
use crate::guests::startup_order;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NodeStartall {
    pub chosen: Chosen,
    /// Also guests that do not start with the node.
    pub force: bool,
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

struct StartAll;

#[async_trait]
impl Step<NodeStartall> for StartAll {
    fn name(&self) -> &'static str {
        "start-all"
    }

    async fn act(
        &self,
        cx: &TaskContext<NodeContext>,
        task: &mut NodeStartall,
    ) -> Result<(), Error> {
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
                    cx.log(&format!("Starting {} {}", guest.kind.word(), guest.vmid))
                        .await;
                    upids.push(submit_start(cx, guest).await?);
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
