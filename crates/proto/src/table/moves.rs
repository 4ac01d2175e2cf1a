//! What the rows of migrations of VMs and containers share.

use model::schema::{Field, Shape, Values};
use model::{Privilege, StorageMap};

use crate::Need;

/// A resource of HA that keeps a guest away from a node.
pub(super) const BLOCKING: Shape = Shape::Object {
    fields: &[&[
        Field::string("cause").one_of(&["node-affinity", "resource-affinity"]),
        Field::string("sid"),
    ]],
    open: true,
};

/// Volumes that change their storage need space there, and the right to change the guest's disks.
pub(super) fn storage_needs(params: &Values, option: &str) -> Vec<Need> {
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
