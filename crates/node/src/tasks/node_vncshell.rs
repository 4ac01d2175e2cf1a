//! A shell of this node, as a task: it ends when its client hangs up or never came, and nothing
//! that was started in it is left then.

use serde::{Deserialize, Serialize};
use tasks::{Steps, Task};

use super::terminal::{End, Terminal, Wait};
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

impl Terminal for NodeVncshell {
    fn console(&self) -> &str {
        &self.console
    }
}
