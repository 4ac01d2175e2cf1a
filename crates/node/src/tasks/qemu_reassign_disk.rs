//! Gives a disk of one virtual machine to another one, on the storage where it is.
//!
//! ```text
//!   claim ─ claim-target ─ rename ─ publish ┃ release ─► qemu_configure, if the other one runs
//!                            │              ┃ point of no return: one commit takes it from the one
//!                            │                and gives it to the other
//!                            the image is called after its new owner
//! ```

use model::qemu::{Drive, DriveSlot};
use model::{Error, GuestRecord, VmId, VolumeId};
use serde::{Deserialize, Serialize};
use tasks::{FollowUp, Steps, Task};

use super::claim::{Claim, Claims, Release, check_digest, check_lock};
use super::reassign::{ClaimTarget, Moved, Publish, Reassigns, Rename};
use super::{QemuConfigure, guest_object};
use crate::NodeContext;
use crate::guests::options::is_indexed;
use crate::qemu::edit::Edit;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct QemuReassignDisk {
    pub vmid: VmId,
    pub disk: String,
    pub target: VmId,
    pub target_disk: String,
    pub digest: Option<String>,
    pub target_digest: Option<String>,
    /// Chosen by `rename`.
    #[serde(default)]
    moved: Option<Moved>,
}

impl QemuReassignDisk {
    pub fn new(vmid: VmId, disk: String, target: VmId, target_disk: String) -> Self {
        Self {
            vmid,
            disk,
            target,
            target_disk,
            digest: None,
            target_digest: None,
            moved: None,
        }
    }
}

impl Task for QemuReassignDisk {
    type Node = NodeContext;
    const NAME: &'static str = "qemu_reassign_disk";
    const VERSION: u32 = 1;
    const KIND: &'static str = "qmmove";

    fn steps() -> Steps<Self> {
        Steps {
            before: &[&Claim, &ClaimTarget, &Rename, &Publish],
            after: &[&Release],
        }
    }

    fn object(&self) -> Option<String> {
        Some(guest_object(self.vmid))
    }

    fn other_objects(&self) -> Vec<String> {
        vec![guest_object(self.target)]
    }

    fn follow_up(&self) -> Option<FollowUp<NodeContext>> {
        let plugs = self.moved.as_ref().is_some_and(|moved| moved.plug);
        let task = QemuConfigure::new(self.target, Edit::default(), None, true);
        plugs.then(|| {
            let submit: FollowUp<NodeContext> =
                Box::new(move |engine, submission| Box::pin(engine.submit(submission, task)));
            submit
        })
    }
}

impl Claims for QemuReassignDisk {
    const SHOWN_AS: &'static str = "disk";

    fn vmid(&self) -> VmId {
        self.vmid
    }

    fn check(&self, guest: &GuestRecord) -> Result<(), Error> {
        let Self { vmid, disk, .. } = self;
        check_digest(guest, self.digest.as_deref())?;
        check_lock(guest, false)?;
        check_is_no_template(guest)?;
        if !guest.config.0.contains_key(disk) {
            let text = format!("Disk '{disk}' for VM '{vmid}' does not exist");
            return Err(Error::conflict(text));
        }
        if guest.pending.contains_key(disk) {
            let text = format!("disk '{disk}' has pending changes");
            return Err(Error::conflict(text));
        }
        Ok(())
    }
}

fn check_is_no_template(guest: &GuestRecord) -> Result<(), Error> {
    if guest.config.flag("template") == Some(true) {
        let text = "Can't move disks from or to template VMs";
        return Err(Error::conflict(text));
    }
    Ok(())
}

impl Reassigns for QemuReassignDisk {
    fn option(&self) -> &str {
        &self.disk
    }

    fn target(&self) -> (VmId, &str) {
        (self.target, &self.target_disk)
    }

    fn target_digest(&self) -> Option<&str> {
        self.target_digest.as_deref()
    }

    fn moved(&self) -> Option<&Moved> {
        self.moved.as_ref()
    }

    fn set_moved(&mut self, moved: Moved) {
        self.moved = Some(moved);
    }

    fn check_guest(&self, guest: &GuestRecord) -> Result<(), Error> {
        check_is_no_template(guest)
    }

    fn in_use(&self) -> String {
        let (disk, target) = (&self.target_disk, self.target);
        format!("Target disk key '{disk}' is already in use for VM '{target}'")
    }

    fn runs(&self) -> &'static str {
        "Cannot move disk to another VM while the source VM is running - detach first"
    }

    fn check_option(&self, text: &str) -> Result<(), Error> {
        let Ok(slot) = self.disk.parse::<DriveSlot>() else {
            return Ok(());
        };
        let drive = Drive::parse(slot.bus(), text).map_err(|e| Error::bug(e.to_string()))?;
        match drive.is_cdrom() {
            true => Err(Error::conflict(
                "CD drive contents can't be moved to another VM",
            )),
            false => Ok(()),
        }
    }

    fn value(&self, text: &str, to: &VolumeId) -> Result<String, Error> {
        let Ok(slot) = self.target_disk.parse::<DriveSlot>() else {
            return Ok(to.to_string());
        };
        let text = match is_indexed(&self.disk, "unused") {
            true => to.to_string(),
            false => text.to_owned(),
        };
        let mut drive = Drive::parse(slot.bus(), &text)
            .map_err(|error| Error::invalid("target-disk", error.to_string()))?;
        drive.set_volume(to);
        Ok(drive.print())
    }
}
