//! Ends a container by its init and starts it again, with what was pending.

use std::time::Duration;

use model::{GuestKind, VmId};
use serde::{Deserialize, Serialize};
use tasks::{FollowUp, Steps, Task};

use super::power_off::{ClearUp, PowerOff, PowersOff};
use super::{LxcStart, SHORT_PATIENCE, guest_object};
use crate::NodeContext;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LxcReboot {
    pub vmid: VmId,
    pub timeout_s: Option<u64>,
}

impl Task for LxcReboot {
    type Node = NodeContext;
    const NAME: &'static str = "lxc_reboot";
    const VERSION: u32 = 1;
    const KIND: &'static str = "vzreboot";
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
        let task = LxcStart::new(self.vmid, false, false);
        Some(Box::new(move |engine, submission| {
            Box::pin(engine.submit(submission, task))
        }))
    }
}

impl PowersOff for LxcReboot {
    fn vmid(&self) -> VmId {
        self.vmid
    }

    fn timeout_s(&self) -> Option<u64> {
        self.timeout_s
    }

    const GUEST: GuestKind = GuestKind::Lxc;

    fn force_stop(&self) -> bool {
        true
    }
}
