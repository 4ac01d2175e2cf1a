//! Asks a container's init to power off and waits until it has ended.

use std::time::Duration;

use model::{GuestKind, VmId};
use serde::{Deserialize, Serialize};
use tasks::{Steps, Task};

use super::power_off::{ClearUp, PowerOff, PowersOff};
use super::{SHORT_PATIENCE, guest_object};
use crate::NodeContext;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LxcShutdown {
    pub vmid: VmId,
    pub timeout_s: Option<u64>,
    /// What does not end in time is stopped.
    pub force_stop: bool,
}

impl Task for LxcShutdown {
    type Node = NodeContext;
    const NAME: &'static str = "lxc_shutdown";
    const VERSION: u32 = 1;
    const KIND: &'static str = "vzshutdown";
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

impl PowersOff for LxcShutdown {
    fn vmid(&self) -> VmId {
        self.vmid
    }

    fn timeout_s(&self) -> Option<u64> {
        self.timeout_s
    }

    const GUEST: GuestKind = GuestKind::Lxc;

    fn force_stop(&self) -> bool {
        self.force_stop
    }
}
