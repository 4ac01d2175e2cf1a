//! Whether a caller may make a guest of what it names: only of approved templates and images, where the cluster
//! wants that (`/ostler/deployment`).

use model::qemu::{Drive, DriveSlot, DriveSource, ImportSource};
use model::{Error, Privilege, VmId, VolumeId};
use node::deployment::Deployment;
use serde_json::Value;

use super::Op;

/// The policy, for a caller whom it binds: a caller who could change it is not bound.
async fn policy(op: &Op) -> Result<Option<Deployment>, Error> {
    let policy = op.records.deployment().await?;
    match policy.is_enforced() && !op.has("/", Privilege::SysModify).await? {
        true => Ok(Some(policy)),
        false => Ok(None),
    }
}

fn refused(what: &str) -> Error {
    Error::forbidden(format!(
        "new guests are made of approved templates and images only: {what}"
    ))
}

/// A clone of this guest.
pub(super) async fn check_clone(op: &Op, source: VmId) -> Result<(), Error> {
    match policy(op).await? {
        Some(policy) if !policy.approves_guest(source) => {
            Err(refused(&format!("guest {source} is not approved")))
        }
        _ => Ok(()),
    }
}

/// A container of this archive; none: of a path of the host.
pub(super) async fn check_archive(op: &Op, archive: Option<&VolumeId>) -> Result<(), Error> {
    let Some(policy) = policy(op).await? else {
        return Ok(());
    };
    match archive {
        Some(volume) if policy.approves_volume(volume) => Ok(()),
        Some(volume) => Err(refused(&format!("'{volume}' is not approved"))),
        None => Err(refused("a file of the host is not approved")),
    }
}

/// A virtual machine of these options: what its disks are filled from and what it is installed from is approved,
/// and there is such a thing.
pub(super) async fn check_options<'a>(
    op: &Op,
    options: impl Iterator<Item = (&'a String, &'a Value)>,
) -> Result<(), Error> {
    let Some(policy) = policy(op).await? else {
        return Ok(());
    };
    let drives = options.filter_map(|(name, value)| {
        let slot: DriveSlot = name.parse().ok()?;
        Drive::parse(slot.bus(), value.as_str()?).ok()
    });
    let mut sources = 0;
    for drive in drives {
        let volume = match (drive.import_source(), drive.source()) {
            (Some(ImportSource::Volume(volume)), _) => volume,
            (None, DriveSource::Volume(volume)) if !drive.is_cloud_init() => volume,
            (None, DriveSource::Path(_) | DriveSource::HostCdrom)
            | (Some(ImportSource::Path(_)), _) => {
                return Err(refused("a file or drive of the host is not approved"));
            }
            (None, _) => continue,
        };
        if !policy.approves_volume(&volume) {
            return Err(refused(&format!("'{volume}' is not approved")));
        }
        sources += 1;
    }
    match sources {
        0 => Err(refused("this one is made of nothing")),
        _ => Ok(()),
    }
}
