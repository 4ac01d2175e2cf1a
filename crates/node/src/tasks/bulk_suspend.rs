//! Suspends guests in memory or to disk, in the reverse order of their `startup`.

use async_trait::async_trait;
use model::{Error, GuestKind, StorageId, VmId};
use serde::{Deserialize, Serialize};
use tasks::{Step, Steps, Task, TaskContext};

use super::bulk::{Action, Order, is_skipped, run};
use super::{Chosen, QemuSuspend, QemuSuspendToDisk};
use crate::NodeContext;
use crate::guests::startup_order::StartupOrder;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BulkSuspend {
    pub chosen: Chosen,
    /// Save the memory and end QEMU.
    pub to_disk: bool,
    /// Where the memory goes; if none, beside each guest's first disk.
    pub storage: Option<StorageId>,
    #[serde(default)]
    pub failed: Vec<VmId>,
}

impl Task for BulkSuspend {
    type Node = NodeContext;
    const NAME: &'static str = "bulk_suspend";
    const VERSION: u32 = 1;
    const KIND: &'static str = "bulk-suspend";

    fn steps() -> Steps<Self> {
        Steps {
            before: &[],
            after: &[&SuspendGuests],
        }
    }

    fn object(&self) -> Option<String> {
        None
    }

    fn verdict(&self) -> Result<(), Error> {
        SUSPEND.verdict(&self.failed)
    }
}

const SUSPEND: Action = Action {
    doing: "Suspending",
    failed_to: "suspend",
    order: Order::Reverse,
};

struct SuspendGuests;

#[async_trait]
impl Step<BulkSuspend> for SuspendGuests {
    fn name(&self) -> &'static str {
        "suspend-guests"
    }

    async fn act(
        &self,
        cx: &TaskContext<NodeContext>,
        task: &mut BulkSuspend,
    ) -> Result<(), Error> {
        let to_disk = task.to_disk;
        let storage = task.storage.as_ref();
        let suspend = |guest: StartupOrder| async move {
            let vmid = guest.vmid;
            if is_skipped(cx, vmid).await? {
                return Ok(());
            }
            if guest.kind == GuestKind::Lxc {
                let text = "a container cannot be suspended by this version of Ostler";
                return Err(Error::conflict(text));
            }
            cx.log(&format!("Suspending VM {vmid}")).await;
            match to_disk {
                true => {
                    run(
                        cx,
                        vmid,
                        QemuSuspendToDisk::new(vmid, storage.cloned(), false),
                    )
                    .await
                }
                false => run(cx, vmid, QemuSuspend::new(vmid)).await,
            }
        };
        task.failed = SUSPEND.on(cx, &task.chosen, suspend).await?;
        Ok(())
    }
}
