//! Gives a volume of one container to another one, on the storage where it is. Where the other one
//! runs, the volume waits for its next start.

use guest::lxc::CtConfig;
use model::lxc::{MountPoint, MountSlot};
use model::{Error, GuestConfig, GuestRecord, VmId, VolumeId};
use serde::{Deserialize, Serialize};
use tasks::{Steps, Task};

use super::claim::{Claim, Claims, Release, check_digest, check_lock};
use super::guest_object;
use super::reassign::{ClaimTarget, Moved, Publish, Reassigns, Rename};
use crate::NodeContext;
use crate::guests::options::is_indexed;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LxcReassignVolume {
    pub vmid: VmId,
    /// The option that names the volume: `mp0`, `unused1`.
    pub option: String,
    pub target: VmId,
    pub target_option: String,
    pub digest: Option<String>,
    pub target_digest: Option<String>,
    /// Chosen by `rename`.
    #[serde(default)]
    moved: Option<Moved>,
}

impl LxcReassignVolume {
    pub fn new(vmid: VmId, option: String, target: VmId, target_option: String) -> Self {
        Self {
            vmid,
            option,
            target,
            target_option,
            digest: None,
            target_digest: None,
            moved: None,
        }
    }
}

impl Task for LxcReassignVolume {
    type Node = NodeContext;
    const NAME: &'static str = "lxc_reassign_volume";
    const VERSION: u32 = 1;
    const KIND: &'static str = "move_volume";

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
}

impl Claims for LxcReassignVolume {
    const SHOWN_AS: &'static str = "disk";

    fn vmid(&self) -> VmId {
        self.vmid
    }

    fn check(&self, guest: &GuestRecord) -> Result<(), Error> {
        let Self { vmid, option, .. } = self;
        check_digest(guest, self.digest.as_deref())?;
        check_lock(guest, false)?;
        self.check_guest(guest)?;
        if !guest.config.0.contains_key(option) {
            return Err(Error::conflict(format!(
                "Volume '{option}' for container '{vmid}' does not exist"
            )));
        }
        if guest.pending.contains_key(option) {
            let text = format!("'{option}' has pending changes");
            return Err(Error::conflict(text));
        }
        Ok(())
    }
}

impl Reassigns for LxcReassignVolume {
    fn option(&self) -> &str {
        &self.option
    }

    fn target(&self) -> (VmId, &str) {
        (self.target, &self.target_option)
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
        if guest.config.flag("template") == Some(true) {
            let text = "Can't move volumes from or to template CT";
            return Err(Error::conflict(text));
        }
        Ok(())
    }

    fn in_use(&self) -> String {
        let (option, target) = (&self.target_option, self.target);
        format!("Target volume key '{option}' is already in use for container '{target}'")
    }

    fn runs(&self) -> &'static str {
        "Cannot move volume to another container while the source container is running"
    }

    fn check_after(&self, config: &GuestConfig) -> Result<(), Error> {
        CtConfig::parse(config)
            .map(drop)
            .map_err(Error::invalid_fields)
    }

    /// A volume that was unused is mounted at its option's name.
    fn value(&self, text: &str, to: &VolumeId) -> Result<String, Error> {
        let target = &self.target_option;
        let Ok(slot) = target.parse::<MountSlot>() else {
            return Ok(to.to_string());
        };
        let text = match is_indexed(&self.option, "unused") {
            true => format!("{to},mp=/{target}"),
            false => text.to_owned(),
        };
        let mut mount = MountPoint::parse(slot, &text)
            .map_err(|error| Error::invalid("target-volume", error.to_string()))?;
        mount.set_volume(to);
        Ok(mount.print())
    }
}
