//! A guest's own volumes: the disks of a virtual machine, the file systems of a container.

use guest::lxc::CtConfig;
use guest::qemu::VmConfig;
use model::{Error, GuestConfig, GuestKind, VolumeId};

use crate::qemu::drives;

/// A volume with the option that names it: `scsi0`, `rootfs`.
pub(crate) type Disk = (String, VolumeId);

/// The volumes that hold what a guest has written.
pub(crate) fn disks_of(kind: GuestKind, config: &GuestConfig) -> Result<Vec<Disk>, Error> {
    Ok(match kind {
        GuestKind::Qemu => {
            let config = VmConfig::parse(config).map_err(Error::invalid_fields)?;
            let disks = drives::disks_of(&config).into_iter();
            disks
                .map(|(slot, volume)| (slot.to_string(), volume))
                .collect()
        }
        GuestKind::Lxc => {
            let config = CtConfig::parse(config).map_err(Error::invalid_fields)?;
            let mounts = config.mounts.iter();
            mounts
                .filter_map(|(slot, mount)| Some((slot.to_string(), mount.volume()?)))
                .collect()
        }
    })
}

/// Whether a guest has files of the host, of which there are no snapshots.
pub(crate) fn has_paths(kind: GuestKind, config: &GuestConfig) -> Result<bool, Error> {
    Ok(match kind {
        GuestKind::Qemu => {
            let config = VmConfig::parse(config).map_err(Error::invalid_fields)?;
            config.path_disk().is_some()
        }
        GuestKind::Lxc => {
            let config = CtConfig::parse(config).map_err(Error::invalid_fields)?;
            config.mounts.values().any(|mount| mount.volume().is_none())
        }
    })
}
