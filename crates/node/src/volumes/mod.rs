//! Volumes, whatever guest they belong to: their drivers, who has them attached, copies between
//! storages, and files on their way in.

mod appliance;
pub(crate) mod attached;
pub(crate) mod backups;
pub(crate) mod base;
pub(crate) mod drivers;
pub(crate) mod images;
pub(crate) mod streams;
pub(crate) mod tar;
pub(crate) mod turns;
pub(crate) mod uploads;

use model::{Error, StorageId, VolumeId};
use storage::{Storage, VolumeInfo};

/// What a storage says of a volume, which must be there.
pub(crate) async fn info_of(storage: &dyn Storage, volume: &VolumeId) -> Result<VolumeInfo, Error> {
    let missing = || Error::not_found(format!("volume '{volume}' does not exist"));
    storage.stat(volume.name()).await?.ok_or_else(missing)
}

/// The volume that has a name which its storage has chosen.
pub(crate) fn named(storage: &StorageId, name: String) -> Result<VolumeId, Error> {
    VolumeId::new(storage.clone(), name).map_err(|error| Error::bug(error.to_string()))
}
