//! What a migration needs that names storages for a guest's volumes.

use model::schema::Values;
use model::{Privilege, StorageMap};

use crate::Need;

/// Volumes that change their storage need space there, and the right to change the guest's disks.
pub(super) fn needs(params: &Values, option: &str) -> Vec<Need> {
    let map = params.get(option).and_then(|map| map.as_str());
    let map = map.and_then(|map| StorageMap::parse(map).ok());
    let map = map.unwrap_or_default();
    let space = map.targets().map(|storage| {
        Need::all(
            format!("/storage/{storage}"),
            &[Privilege::DatastoreAllocateSpace],
        )
    });
    let mut needs: Vec<Need> = space.collect();
    if let (Some(vmid), false) = (params.get("vmid"), needs.is_empty()) {
        needs.push(Need::all(
            format!("/vms/{vmid}"),
            &[Privilege::VmConfigDisk],
        ));
    }
    needs
}
