//! Presses a virtual machine's power button and waits until it has ended.

use std::time::Duration;

use model::VmId;
use serde::{Deserialize, Serialize};
use tasks::{Steps, Task};

use super::power_off::{ClearUp, PowerOff, PowersOff};
use super::{SHORT_PATIENCE, guest_object};
use crate::NodeContext;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct QemuShutdown {
    pub vmid: VmId,
    pub timeout_s: Option<u64>,
    /// What does not end in time is stopped.
    pub force_stop: bool,
}

impl Task for QemuShutdown {
    type Node = NodeContext;
    const NAME: &'static str = "qemu_shutdown";
    const VERSION: u32 = 1;
    const KIND: &'static str = "qmshutdown";
    const ON_FULL_DISK: bool = true;
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
}

impl PowersOff for QemuShutdown {
    fn vmid(&self) -> VmId {
        self.vmid
    }

    fn timeout_s(&self) -> Option<u64> {
        self.timeout_s
    }

    fn force_stop(&self) -> bool {
        self.force_stop
    }
}
