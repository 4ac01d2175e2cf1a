//! Takes an export back, with the storage that it is.
//!
//! ```text
//!   disable ─ look ┃ forget ─ remove
//!      │        nothing is on it   │
//!   new work is refused         the folder or dataset, if no file is left in it
//! ```

use async_trait::async_trait;
use model::{Error, StorageId};
use serde::{Deserialize, Serialize};
use storage::StorageConfig;
use tasks::{Probe, Step, Steps, Task};

use super::export_create::EXPORTS;
use super::exported::{Cx, Exported};
use super::removable::set_disabled;
use crate::{NodeContext, volumes_of_guest};

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ExportDelete {
    /// As its record was when the task was planned.
    config: StorageConfig,
}

impl ExportDelete {
    /// Refuses what the task would refuse.
    pub async fn check(node: &NodeContext, id: &StorageId) -> Result<Self, Error> {
        let config = node.records.storage(id).await?.config;
        let refused = |why: String| Error::conflict(format!("storage '{id}' {why}"));
        match config.spec.exporter() {
            None => return Err(refused("is no export of a node".to_owned())),
            Some(exporter) if exporter.node != node.name => {
                return Err(refused(format!("is exported by node '{}'", exporter.node)));
            }
            Some(_) => {}
        }
        let task = Self { config };
        task.check_unused(node).await?;
        Ok(task)
    }

    fn exported(&self) -> Result<Exported<'_>, Error> {
        let exported = Exported::of(&self.config);
        exported.ok_or_else(|| Error::bug("an export without a node"))
    }

    fn was_disabled(&self) -> bool {
        self.config.common.disable == Some(true)
    }

    /// Refuses while a guest of any node has a volume there, or there is any other one.
    async fn check_unused(&self, node: &NodeContext) -> Result<(), Error> {
        let id = self.config.id();
        for guest in node.records.guests().await? {
            let guest = guest?;
            let mut volumes = volumes_of_guest(&guest).into_iter();
            if let Some(volume) = volumes.find(|volume| volume.storage() == id) {
                let text = format!(
                    "guest {} of node '{}' has volume '{volume}'",
                    guest.vmid, guest.node
                );
                return Err(Error::conflict(text));
            }
        }
        let driver = node.drivers.open(self.config.clone(), None);
        // While it is not there, what is on it is not known.
        driver.status().await?;
        let volumes = driver.list(None).await?;
        if let Some(volume) = volumes.first() {
            let text = format!(
                "storage '{id}' has volume '{}': move it or remove it first",
                volume.name
            );
            return Err(Error::conflict(text));
        }
        Ok(())
    }
}

impl Task for ExportDelete {
    type Node = NodeContext;
    const NAME: &'static str = "export_delete";
    const VERSION: u32 = 1;
    const KIND: &'static str = "exportdelete";

    fn steps() -> Steps<Self> {
        Steps {
            before: &[&Disable, &Look],
            after: &[&Forget, &Remove],
        }
    }

    fn object(&self) -> Option<String> {
        Some(EXPORTS.to_owned())
    }
}

struct Disable;

#[async_trait]
impl Step<ExportDelete> for Disable {
    fn name(&self) -> &'static str {
        "disable"
    }

    async fn plan(&self, cx: &Cx, task: &mut ExportDelete) -> Result<(), Error> {
        let id = task.config.id().clone();
        *task = ExportDelete::check(&cx.node, &id).await?;
        Ok(())
    }

    async fn act(&self, cx: &Cx, task: &mut ExportDelete) -> Result<(), Error> {
        set_disabled(cx, task.config.id(), true).await
    }

    async fn undo(&self, cx: &Cx, task: &ExportDelete) -> Result<(), Error> {
        set_disabled(cx, task.config.id(), task.was_disabled()).await
    }
}

/// What began before the storage was disabled counts, too.
struct Look;

#[async_trait]
impl Step<ExportDelete> for Look {
    fn name(&self) -> &'static str {
        "look"
    }

    async fn plan(&self, cx: &Cx, task: &mut ExportDelete) -> Result<(), Error> {
        task.check_unused(&cx.node).await
    }

    async fn probe(&self, _: &Cx, _: &mut ExportDelete) -> Result<Probe, Error> {
        Ok(Probe::Done)
    }

    async fn act(&self, _: &Cx, _: &mut ExportDelete) -> Result<(), Error> {
        Ok(())
    }
}

struct Forget;

#[async_trait]
impl Step<ExportDelete> for Forget {
    fn name(&self) -> &'static str {
        "forget"
    }

    async fn act(&self, cx: &Cx, task: &mut ExportDelete) -> Result<(), Error> {
        let exported = task.exported()?;
        exported.forget(cx).await?;
        cx.log(&format!(
            "'{}' is not exported any more",
            exported.spec.export
        ))
        .await;
        Ok(())
    }
}

struct Remove;

#[async_trait]
impl Step<ExportDelete> for Remove {
    fn name(&self) -> &'static str {
        "remove"
    }

    async fn act(&self, cx: &Cx, task: &mut ExportDelete) -> Result<(), Error> {
        task.exported()?.remove(cx, false).await
    }
}
