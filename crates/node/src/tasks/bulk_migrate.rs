//! Moves guests of this node to another one.

use async_trait::async_trait;
use model::{Error, VmId};
use serde::{Deserialize, Serialize};
use tasks::{Step, Steps, Task, TaskContext};

use super::Chosen;
use super::bulk::{list, verdict};
use super::migrate_guests::{Moving, guests};
use crate::NodeContext;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BulkMigrate {
    pub chosen: Chosen,
    pub moving: Moving,
    #[serde(default)]
    pub failed: Vec<VmId>,
}

impl Task for BulkMigrate {
    type Node = NodeContext;
    const NAME: &'static str = "bulk_migrate";
    const VERSION: u32 = 1;
    const KIND: &'static str = "bulk-migrate";

    fn steps() -> Steps<Self> {
        Steps {
            before: &[],
            after: &[&MigrateGuests],
        }
    }

    fn object(&self) -> Option<String> {
        None
    }

    fn verdict(&self) -> Result<(), Error> {
        verdict("migrate", &self.failed)
    }
}

struct MigrateGuests;

#[async_trait]
impl Step<BulkMigrate> for MigrateGuests {
    fn name(&self) -> &'static str {
        "migrate-guests"
    }

    async fn act(
        &self,
        cx: &TaskContext<NodeContext>,
        task: &mut BulkMigrate,
    ) -> Result<(), Error> {
        let target = &task.moving.target;
        cx.log(&match &task.chosen.vmids {
            None => format!("Migrating all guests to {target}"),
            Some(vmids) => format!("Migrating guests to {target}: {}", list(vmids)),
        })
        .await;
        let mut vmids: Vec<VmId> = guests(cx, &task.chosen)
            .await?
            .into_iter()
            .map(|guest| guest.vmid)
            .collect();
        if *target == cx.node.name {
            for vmid in vmids.drain(..) {
                cx.warn(&format!("VM {vmid} already on {target}, skipping."))
                    .await;
            }
        }
        let workers = task.chosen.workers(&cx.node).await?;
        task.failed = task.moving.all(cx, vmids, workers).await?;
        Ok(())
    }
}
