//! A console of a virtual machine, as a task: it ends when the console is closed, or was not
//! opened in time.

use async_trait::async_trait;
use model::{Error, VmId};
use serde::{Deserialize, Serialize};
use tasks::{Probe, Step, Steps, Task, TaskContext};

use crate::NodeContext;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct QemuVncproxy {
    pub vmid: VmId,
    /// The console's id, not its port: a port is used again.
    pub console: String,
}

impl QemuVncproxy {
    pub fn new(vmid: VmId, console: String) -> Self {
        Self { vmid, console }
    }
}

impl Task for QemuVncproxy {
    type Node = NodeContext;
    const NAME: &'static str = "qemu_vncproxy";
    const VERSION: u32 = 1;
    const KIND: &'static str = "vncproxy";

    /// Stopping the task closes the console.
    fn steps() -> Steps<Self> {
        Steps {
            before: &[&Wait],
            after: &[],
        }
    }

    /// Consoles keep no task from working on the guest.
    fn object(&self) -> Option<String> {
        None
    }
}

struct Wait;

#[async_trait]
impl Step<QemuVncproxy> for Wait {
    fn name(&self) -> &'static str {
        "wait"
    }

    /// An agent that was restarted knows no console: then the task is over.
    async fn probe(
        &self,
        cx: &TaskContext<NodeContext>,
        task: &mut QemuVncproxy,
    ) -> Result<Probe, Error> {
        let is_there = cx.node.consoles.is_there(&task.console);
        Ok(if is_there {
            Probe::NotDone
        } else {
            Probe::Done
        })
    }

    async fn act(
        &self,
        cx: &TaskContext<NodeContext>,
        task: &mut QemuVncproxy,
    ) -> Result<(), Error> {
        cx.node.consoles.ended(&task.console).await;
        Ok(())
    }

    async fn undo(&self, cx: &TaskContext<NodeContext>, task: &QemuVncproxy) -> Result<(), Error> {
        cx.node.consoles.close(&task.console);
        Ok(())
    }
}
