//! Makes a container a template: its file systems become bases of linked clones.
//!
//! ```text
//!   claim ─ rename ─ publish ┃ release
//!             │              ┃ point of no return: the record says template and names the bases
//!             subvol-100-disk-0 is called basevol-100-disk-0
//! ```

use async_trait::async_trait;
use model::{Error, GuestRecord, VmId};
use serde::{Deserialize, Serialize};
use tasks::{Steps, Task};

use super::bases::Renaming;
use super::claim::{Claim, Claims, Release};
use super::guest_object;
use super::make_template::{MakesTemplate, Publish, Rename, check_guest};
use crate::NodeContext;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LxcTemplate {
    pub vmid: VmId,
    /// Chosen by `rename`.
    #[serde(default)]
    renamings: Vec<Renaming>,
}

impl LxcTemplate {
    pub fn new(vmid: VmId) -> Self {
        Self {
            vmid,
            renamings: Vec::new(),
        }
    }

    /// Refuses what could not be done, before it is a task.
    pub async fn check(&self, node: &NodeContext, guest: &GuestRecord) -> Result<(), Error> {
        Claims::check(self, guest)?;
        self.check_stopped(node).await
    }
}

impl Task for LxcTemplate {
    type Node = NodeContext;
    const NAME: &'static str = "lxc_template";
    const VERSION: u32 = 1;
    const KIND: &'static str = "vztemplate";

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

impl Claims for LxcTemplate {
    const SHOWN_AS: &'static str = "";

    fn vmid(&self) -> VmId {
        self.vmid
    }

    fn check(&self, guest: &GuestRecord) -> Result<(), Error> {
        check_guest(guest, None)
    }
}

#[async_trait]
impl MakesTemplate for LxcTemplate {
    async fn check_stopped(&self, node: &NodeContext) -> Result<(), Error> {
        if node.running.is_running(self.vmid).await? {
            return Err(Error::conflict(
                "you can't convert a CT to template if the CT is running",
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
