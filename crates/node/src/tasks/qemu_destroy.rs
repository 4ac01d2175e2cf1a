//! Destroys a virtual machine: its disks, then its record. Once it has begun it is finished.

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
pub struct QemuDestroy {
    pub vmid: VmId,
    pub skip_lock: bool,
    /// Also volumes on the guest's storages that carry its number and that it does not name.
    pub unreferenced: bool,
    /// All that names the guest forgets it.
    #[serde(default)]
    pub purge: bool,
    /// Chosen by the plan.
    #[serde(default)]
    volumes: Vec<VolumeId>,
}

impl QemuDestroy {
    pub fn new(vmid: VmId, skip_lock: bool, unreferenced: bool) -> Self {
        Self {
            vmid,
            skip_lock,
            unreferenced,
            purge: false,
            volumes: Vec::new(),
        }
    }
}

impl Task for QemuDestroy {
    type Node = NodeContext;
    const NAME: &'static str = "qemu_destroy";
    const VERSION: u32 = 2;
    const KIND: &'static str = "qmdestroy";
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

impl Claims for QemuDestroy {
    const SHOWN_AS: &'static str = "destroy";

    fn vmid(&self) -> VmId {
        self.vmid
    }

    fn check(&self, guest: &GuestRecord) -> Result<(), Error> {
        check_protection(guest)?;
        check_lock(guest, self.skip_lock)
    }
}

impl Destroys for QemuDestroy {
    fn stops(&self) -> bool {
        false
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
