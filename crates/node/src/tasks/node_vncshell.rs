//! A shell of this node, as a task: it ends when its client hangs up or never came, and nothing
//! that was started in it is left then.

use async_trait::async_trait;
use model::Error;
use serde::{Deserialize, Serialize};
use sys::ScopeName;
use tasks::{Probe, Step, Steps, Task, TaskContext};

use crate::NodeContext;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NodeVncshell {
    /// The console's id, after which the shell's scope is named.
    pub console: String,
}

impl NodeVncshell {
    pub fn new(console: String) -> Self {
        Self { console }
    }

    async fn end(&self, node: &NodeContext) -> Result<(), Error> {
        node.consoles.close(&self.console);
        Ok(node
            .host
            .kill_scope(&ScopeName::shell(&self.console))
            .await?)
    }
}

impl Task for NodeVncshell {
    type Node = NodeContext;
    const NAME: &'static str = "node_vncshell";
    const VERSION: u32 = 1;
    const KIND: &'static str = "vncshell";

    /// Stopping the task ends the shell.
    fn steps() -> Steps<Self> {
        Steps {
            before: &[&Wait],
            after: &[&End],
        }
    }

    fn object(&self) -> Option<String> {
        None
    }
}

struct Wait;

#[async_trait]
impl Step<NodeVncshell> for Wait {
    fn name(&self) -> &'static str {
        "wait"
    }

    /// An agent that was restarted knows no console: its terminal has been hung up.
    async fn probe(
        &self,
        cx: &TaskContext<NodeContext>,
        task: &mut NodeVncshell,
    ) -> Result<Probe, Error> {
        Ok(match cx.node.consoles.is_there(&task.console) {
            true => Probe::NotDone,
            false => Probe::Done,
        })
    }

    async fn act(
        &self,
        cx: &TaskContext<NodeContext>,
        task: &mut NodeVncshell,
    ) -> Result<(), Error> {
        cx.node.consoles.ended(&task.console).await;
        Ok(())
    }

    async fn undo(&self, cx: &TaskContext<NodeContext>, task: &NodeVncshell) -> Result<(), Error> {
        task.end(&cx.node).await
    }
}

struct End;

#[async_trait]
impl Step<NodeVncshell> for End {
    fn name(&self) -> &'static str {
        "end"
    }

    async fn act(
        &self,
        cx: &TaskContext<NodeContext>,
        task: &mut NodeVncshell,
    ) -> Result<(), Error> {
        task.end(&cx.node).await
    }
}
