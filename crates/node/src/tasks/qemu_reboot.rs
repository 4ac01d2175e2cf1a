//! Ends a virtual machine by its power button and starts it again, with what was pending.

use std::time::Duration;

use model::VmId;
use serde::{Deserialize, Serialize};
use tasks::{FollowUp, Steps, Task};

use super::power_off::{ClearUp, PowerOff, PowersOff};
use super::{QemuStart, SHORT_PATIENCE, guest_object};
use crate::NodeContext;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct QemuReboot {
    pub vmid: VmId,
    pub timeout_s: Option<u64>,
}

impl Task for QemuReboot {
    type Node = NodeContext;
    const NAME: &'static str = "qemu_reboot";
    const VERSION: u32 = 1;
    const KIND: &'static str = "qmreboot";
    const PATIENCE: Duration = SHORT_PATIENCE;

    fn steps() -> Steps<Self> {
        Steps {
            before: &[&PowerOff],
            after: &[&ClearUp],
        }
    }

    fn object(&self) -> Option<String> {
        Some(guest_object(self.vmid))
    }

    fn follow_up(&self) -> Option<FollowUp<NodeContext>> {
        let task = QemuStart::new(self.vmid, None, false);
        Some(Box::new(move |engine, submission| {
            Box::pin(engine.submit(submission, task))
        }))
    }
}

impl PowersOff for QemuReboot {
    fn vmid(&self) -> VmId {
        self.vmid
    }

    fn timeout_s(&self) -> Option<u64> {
        self.timeout_s
    }

    fn force_stop(&self) -> bool {
        false
    }
}
