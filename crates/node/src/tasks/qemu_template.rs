//! Makes a virtual machine a template: its disks become bases of linked clones.
//!
//! ```text
//!   claim ─ rename ─ publish ┃ release
//!             │              ┃ point of no return: the record says template and names the bases
//!             vm-100-disk-0 is called base-100-disk-0
//! ```

use async_trait::async_trait;
use model::qemu::DriveSlot;
use model::{Error, GuestRecord, VmId};
use serde::{Deserialize, Serialize};
use tasks::{Steps, Task};

use super::bases::Renaming;
use super::claim::{Claim, Claims, Release};
use super::guest_object;
use super::make_template::{MakesTemplate, Publish, Rename, check_guest};
use crate::NodeContext;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct QemuTemplate {
    pub vmid: VmId,
    /// Only this disk becomes a base; the guest does not become a template.
    pub disk: Option<DriveSlot>,
    /// Chosen by `rename`.
    #[serde(default)]
    renamings: Vec<Renaming>,
}

impl QemuTemplate {
    pub fn new(vmid: VmId, disk: Option<DriveSlot>) -> Self {
        Self {
            vmid,
            disk,
            renamings: Vec::new(),
        }
    }
}

impl Task for QemuTemplate {
    type Node = NodeContext;
    const NAME: &'static str = "qemu_template";
    const VERSION: u32 = 1;
    const KIND: &'static str = "qmtemplate";

    fn steps() -> Steps<Self> {
        Steps {
            before: &[&Claim, &Rename, &Publish],
            after: &[&Release],
        }
    }

    fn object(&self) -> Option<String> {
        Some(guest_object(self.vmid))
    }
}

impl Claims for QemuTemplate {
    const SHOWN_AS: &'static str = "";

    fn vmid(&self) -> VmId {
        self.vmid
    }

    fn check(&self, guest: &GuestRecord) -> Result<(), Error> {
        check_guest(guest, self.only().as_deref())
    }
}

#[async_trait]
impl MakesTemplate for QemuTemplate {
    fn only(&self) -> Option<String> {
        self.disk.map(|disk| disk.to_string())
    }

    async fn check_stopped(&self, node: &NodeContext) -> Result<(), Error> {
        if node.running.is_running(self.vmid).await? {
            return Err(Error::conflict(
                "you can't convert a VM to template if VM is running",
            ));
        }
        Ok(())
    }

    fn renamings(&self) -> &[Renaming] {
        &self.renamings
    }

    fn set_renamings(&mut self, renamings: Vec<Renaming>) {
        self.renamings = renamings;
    }
}

impl QemuTemplate {
    /// Refuses what could not be done, before it is a task.
    pub async fn check(&self, node: &NodeContext, guest: &GuestRecord) -> Result<(), Error> {
        Claims::check(self, guest)?;
        self.check_stopped(node).await
    }
}
