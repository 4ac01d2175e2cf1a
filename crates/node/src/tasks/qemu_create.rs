//! Makes a virtual machine.
//!
//! ```text
//!   reserve ─ allocate ─ make-bases ─ publish ┃ join-pool ─► qemu_start, if wanted
//!   the id    the disks  of a         the configuration; from then on it is a guest
//!                        template
//! ```

use model::{GuestConfig, PoolId, VmId};
use serde::{Deserialize, Serialize};
use tasks::{FollowUp, Steps, Task};

use super::allocate::{Allocate, Allocates};
use super::bases::NewTemplate;
use super::guest_object;
use super::new_guest::{JoinPool, NewGuest, Publish, Reserve, start_of};
use super::new_template::RenameNew;
use crate::NodeContext;
use crate::qemu::edit::Edit;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct QemuCreate {
    pub vmid: VmId,
    pub edit: Edit,
    /// The pool that it becomes a member of.
    pub pool: Option<PoolId>,
    /// Start it right afterwards.
    pub start: bool,
    /// Set where it is a template from its beginning.
    #[serde(default)]
    pub becomes: Option<NewTemplate>,
}

impl Task for QemuCreate {
    type Node = NodeContext;
    const NAME: &'static str = "qemu_create";
    const VERSION: u32 = 2;
    const KIND: &'static str = "qmcreate";

    fn steps() -> Steps<Self> {
        Steps {
            before: &[&Reserve, &Allocate, &RenameNew, &Publish],
            after: &[&JoinPool],
        }
    }

    fn object(&self) -> Option<String> {
        Some(guest_object(self.vmid))
    }

    fn follow_up(&self) -> Option<FollowUp<NodeContext>> {
        self.start.then(|| start_of(self.vmid))
    }
}

impl Allocates for QemuCreate {
    fn owner(&self) -> VmId {
        self.vmid
    }

    fn edit(&self) -> &Edit {
        &self.edit
    }

    fn edit_mut(&mut self) -> &mut Edit {
        &mut self.edit
    }
}

impl NewGuest for QemuCreate {
    const SHOWN_AS: &'static str = "create";

    fn vmid(&self) -> VmId {
        self.vmid
    }

    fn options(&self) -> GuestConfig {
        GuestConfig(self.edit.set.clone())
    }

    fn pool(&self) -> Option<&PoolId> {
        self.pool.as_ref()
    }

    fn template(&self) -> Option<&NewTemplate> {
        self.becomes.as_ref()
    }

    fn template_mut(&mut self) -> Option<&mut NewTemplate> {
        self.becomes.as_mut()
    }
}
