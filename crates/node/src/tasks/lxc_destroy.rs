//! Destroys a container: its file systems, then its record. Once it has begun it is finished.

use model::{Error, GuestRecord, VmId, VolumeId};
use serde::{Deserialize, Serialize};
use tasks::{Steps, Task};

use super::claim::{Claim, Claims, check_lock};
use super::destroy::{
    Choose, Destroys, Forget, Purge, RemoveRights, RemoveVolumes, check_protection,
};
use super::guest_object;
use crate::NodeContext;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LxcDestroy {
    pub vmid: VmId,
    pub skip_lock: bool,
    /// Also volumes on the guest's storages that carry its number and that it does not name.
    pub unreferenced: bool,
    /// All that names the guest forgets it.
    #[serde(default)]
    pub purge: bool,
    /// Also if it runs.
    pub force: bool,
    /// Chosen by the plan.
    #[serde(default)]
    volumes: Vec<VolumeId>,
}

impl LxcDestroy {
    pub fn new(vmid: VmId, skip_lock: bool, unreferenced: bool, force: bool) -> Self {
        Self {
            vmid,
            skip_lock,
            unreferenced,
            purge: false,
            force,
            volumes: Vec::new(),
        }
    }
}

impl Task for LxcDestroy {
    type Node = NodeContext;
    const NAME: &'static str = "lxc_destroy";
    const VERSION: u32 = 2;
    const KIND: &'static str = "vzdestroy";
    const ON_FULL_DISK: bool = true;

    fn steps() -> Steps<Self> {
        Steps {
            before: &[&Claim, &Choose],
            after: &[&RemoveVolumes, &RemoveRights, &Purge, &Forget],
        }
    }

    fn object(&self) -> Option<String> {
        Some(guest_object(self.vmid))
    }
}

impl Claims for LxcDestroy {
    const SHOWN_AS: &'static str = "destroy";

    fn vmid(&self) -> VmId {
        self.vmid
    }

    fn check(&self, guest: &GuestRecord) -> Result<(), Error> {
        check_protection(guest)?;
        check_lock(guest, self.skip_lock)
    }
}

impl Destroys for LxcDestroy {
    fn stops(&self) -> bool {
        self.force
    }

    fn takes_unreferenced(&self) -> bool {
        self.unreferenced
    }

    fn purges(&self) -> bool {
        self.purge
    }

    fn volumes(&self) -> &[VolumeId] {
        &self.volumes
    }

    fn set_volumes(&mut self, volumes: Vec<VolumeId>) {
        self.volumes = volumes;
    }
}
