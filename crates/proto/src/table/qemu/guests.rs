//! `/nodes/{node}/qemu` and `/nodes/{node}/qemu/{vmid}`: list, create, destroy.

use model::Privilege;
use model::qemu::{Drive, DriveSlot, DriveSource, OPTIONS};
use model::schema::{Field, Shape, Values, format};

use super::rights::option_needs;
use super::status::OBSERVED;
use crate::table::params::{NODE, SKIPLOCK, VMID};
use crate::{Check, Need, Permission, Row};

/// The entries of a directory.
const SUBDIRS: Shape = Shape::Array(&Shape::Object {
    fields: &[&[Field::string("subdir")]],
    open: false,
});

/// Parameters of a creation that are not options of the guest.
const CREATE: &[Field] = &[
    NODE,
    VMID,
    Field::string("archive")
        .optional()
        .max_length(255)
        .unbuilt(),
    Field::integer("bwlimit").optional().min(0.0).unbuilt(),
    Field::boolean("force")
        .optional()
        .requires("archive")
        .unbuilt(),
    Field::boolean("ha-managed")
        .optional()
        .default("0")
        .unbuilt(),
    Field::string("import-working-storage")
        .optional()
        .format(format::STORAGE_ID)
        .unbuilt(),
    Field::boolean("live-restore").optional().unbuilt(),
    Field::string("pool").optional().format(format::POOL_ID),
    Field::boolean("start").optional().default("0"),
    Field::string("storage")
        .optional()
        .format(format::STORAGE_ID)
        .unbuilt(),
    Field::boolean("unique")
        .optional()
        .requires("archive")
        .unbuilt(),
];

const ALL_CREATE: &[&[Field]] = &{
    let mut groups: [&[Field]; OPTIONS.len() + 1] = [CREATE; OPTIONS.len() + 1];
    let mut at = 0;
    while at < OPTIONS.len() {
        groups[at + 1] = OPTIONS[at];
        at += 1;
    }
    groups
};

/// A new guest needs rights on its number or on its pool; its options need the same rights as later
/// changes. Its drives need only space on their storages.
fn create_needs(params: &Values) -> Vec<Need> {
    let guest = format!("/vms/{}", params.get("vmid").cloned().unwrap_or_default());
    let pool = params.get("pool").and_then(|pool| pool.as_str());
    let pool = pool.map(|pool| format!("/pool/{pool}"));
    let mut needs = vec![Need {
        or_on: pool.clone(),
        ..Need::all(guest.as_str(), &[Privilege::VmAllocate])
    }];
    let options = params
        .iter()
        .filter(|(name, value)| source_of(name, value.as_str().unwrap_or_default()).is_none());
    let options = options.map(|(name, value)| (name.clone(), value.clone()));
    needs.extend(option_needs(&options.collect(), &guest, pool.as_deref()));
    needs.extend(space_needs(params));
    needs
}

/// The source in a drive's option, for any order and alias of its keys.
pub(super) fn source_of(option: &str, value: &str) -> Option<DriveSource> {
    let option = if option == "cdrom" { "ide2" } else { option };
    let slot: DriveSlot = option.parse().ok()?;
    Some(Drive::parse(slot.bus(), value).ok()?.source())
}

/// Space on every storage where a new volume is requested.
pub(super) fn space_needs(params: &Values) -> Vec<Need> {
    let storages =
        params
            .iter()
            .filter_map(|(name, value)| match source_of(name, value.as_str()?)? {
                DriveSource::New { storage, .. } | DriveSource::NewCloudInit { storage } => {
                    Some(storage)
                }
                _ => None,
            });
    storages
        .map(|storage| {
            Need::all(
                format!("/storage/{storage}"),
                &[Privilege::DatastoreAllocateSpace],
            )
        })
        .collect()
}

pub(in crate::table) const ROWS: &[Row] = &[
    Row::get(
        "/nodes/{node}/qemu",
        "qemu_list",
        "The virtual machines of a node.",
    )
    .params(&[&[NODE, Field::boolean("full").optional()]])
    .returns(Shape::Array(&Shape::Object {
        fields: &[OBSERVED],
        open: true,
    }))
    .permission(Permission::User)
    .on_node()
    .index(),
    Row::post(
        "/nodes/{node}/qemu",
        "qemu_create",
        "Create a virtual machine.",
    )
    .params(ALL_CREATE)
    .check(Check::Computed(create_needs))
    .submit()
    .on_node(),
    Row::get(
        "/nodes/{node}/qemu/{vmid}",
        "qemu_directory",
        "Index of a virtual machine.",
    )
    .params(&[&[NODE, VMID]])
    .returns(SUBDIRS)
    .permission(Permission::User)
    .on_node()
    .index(),
    Row::delete(
        "/nodes/{node}/qemu/{vmid}",
        "qemu_destroy",
        "Destroy a virtual machine and its disks.",
    )
    .params(&[&[
        NODE,
        VMID,
        SKIPLOCK,
        Field::boolean("destroy-unreferenced-disks")
            .optional()
            .default("0"),
        Field::boolean("purge").optional(),
    ]])
    .check(Check::On("/vms/{vmid}", &[Privilege::VmAllocate]))
    .submit()
    .on_node(),
    Row::get(
        "/nodes/{node}/qemu/{vmid}/status",
        "qemu_status_directory",
        "Index of a virtual machine's power commands.",
    )
    .params(&[&[NODE, VMID]])
    .returns(SUBDIRS)
    .permission(Permission::User)
    .on_node()
    .index(),
];
