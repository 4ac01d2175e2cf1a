//! Makes a virtual machine's cloud-init medium anew, while it runs or not.
//!
//! ```text
//!   claim ─ prepare-seed ┃ write-seed ─ release
//!                        ┃ a medium that is half written is written wholly
//! ```

use std::time::Duration;

use model::{Error, GuestRecord, VmId};
use serde::{Deserialize, Serialize};
use tasks::{Steps, Task};

use super::claim::{Claim, Claims, Release, check_lock};
use super::seed::{PrepareSeed, Seeds, WriteSeed};
use super::{SHORT_PATIENCE, guest_object};
use crate::NodeContext;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct QemuCloudinitUpdate {
    pub vmid: VmId,
}

impl Task for QemuCloudinitUpdate {
    type Node = NodeContext;
    const NAME: &'static str = "qemu_cloudinit_update";
    const VERSION: u32 = 1;
    const KIND: &'static str = "qmcloudinit";
    const PATIENCE: Duration = SHORT_PATIENCE;

    fn steps() -> Steps<Self> {
        Steps {
            before: &[&Claim, &PrepareSeed],
            after: &[&WriteSeed, &Release],
        }
    }

    fn object(&self) -> Option<String> {
        Some(guest_object(self.vmid))
    }
}

impl Claims for QemuCloudinitUpdate {
    const SHOWN_AS: &'static str = "";

    fn vmid(&self) -> VmId {
        self.vmid
    }

    fn check(&self, guest: &GuestRecord) -> Result<(), Error> {
        check_lock(guest, false)
    }
}

impl Seeds for QemuCloudinitUpdate {
    fn vmid(&self) -> VmId {
        self.vmid
    }
}
