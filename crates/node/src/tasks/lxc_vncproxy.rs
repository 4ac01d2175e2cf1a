//! A console of a container, as a task: it ends when its client hangs up or never came.

use model::VmId;
use serde::{Deserialize, Serialize};
use tasks::{Steps, Task};

use super::terminal::{End, Terminal, Wait};
use crate::NodeContext;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LxcVncproxy {
    pub vmid: VmId,
    /// The console's id, after which the scope of its program is named.
    pub console: String,
}

impl LxcVncproxy {
    pub fn new(vmid: VmId, console: String) -> Self {
        Self { vmid, console }
    }
}

impl Task for LxcVncproxy {
    type Node = NodeContext;
    const NAME: &'static str = "lxc_vncproxy";
    const VERSION: u32 = 1;
    const KIND: &'static str = "vncproxy";

    /// Stopping the task closes the console.
    fn steps() -> Steps<Self> {
        Steps {
            before: &[&Wait],
            after: &[&End],
        }
    }

    /// Consoles keep no task from working on the guest.
    fn object(&self) -> Option<String> {
        None
    }
}

impl Terminal for LxcVncproxy {
    fn console(&self) -> &str {
        &self.console
    }
}
