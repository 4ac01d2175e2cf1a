//! Moves the guests of a node to another one, those that can be.

use async_trait::async_trait;
use model::Error;
use serde::{Deserialize, Serialize};
use tasks::{Step, Steps, Task, TaskContext};

use super::Chosen;
use super::migrate_guests::{Moving, guests};
use crate::NodeContext;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NodeMigrateall {
    pub chosen: Chosen,
    pub moving: Moving,
}

impl Task for NodeMigrateall {
    type Node = NodeContext;
    const NAME: &'static str = "node_migrateall";
    const VERSION: u32 = 1;
    const KIND: &'static str = "migrateall";

    fn steps() -> Steps<Self> {
        Steps {
            before: &[],
            after: &[&MigrateAll],
        }
    }

    fn object(&self) -> Option<String> {
        None
    }
}

struct MigrateAll;

#[async_trait]
impl Step<NodeMigrateall> for MigrateAll {
    fn name(&self) -> &'static str {
        "migrate-all"
    }

    async fn act(
        &self,
        cx: &TaskContext<NodeContext>,
        task: &mut NodeMigrateall,
    ) -> Result<(), Error> {
        let workers = task.chosen.workers(&cx.node).await?;
        let mut vmids = Vec::new();
        for guest in guests(cx, &task.chosen).await? {
            let vmid = guest.vmid;
            match task.moving.check(&cx.node, &guest).await {
                Ok(()) => {
                    cx.log(&format!("Check VM {vmid}: precondition check passed"))
                        .await;
                    vmids.push(vmid);
                }
                Err(why) => {
                    let text = format!("skip VM {vmid} - precondition check failed: {why}");
                    cx.warn(&text).await;
                }
            }
        }
        if vmids.is_empty() {
            cx.log("no migrations worker started...").await;
            return Ok(());
        }
        task.moving.all(cx, vmids, workers).await?;
        cx.log(&format!(
            "All jobs finished, used {workers} workers in total."
        ))
        .await;
        Ok(())
    }
}
