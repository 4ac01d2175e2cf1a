//! `/nodes/{node}/lxc` and `/nodes/{node}/lxc/{vmid}`: list, create, destroy.

use model::Privilege;
use model::lxc::{MountPoint, MountSlot, MountSource, OPTIONS};
use model::schema::{Field, Shape, Values, format};

use super::rights::option_needs;
use crate::table::params::{NODE, VMID};
use crate::{Check, Need, Permission, Row};

/// The observed fields of a container.
pub(super) const OBSERVED: &[Field] = &[
    Field::number("cpu").optional(),
    Field::number("cpus").optional(),
    Field::integer("disk").optional().min(0.0),
    Field::integer("diskread").optional(),
    Field::integer("diskwrite").optional(),
    Field::string("lock").optional(),
    Field::integer("maxdisk").optional(),
    Field::integer("maxmem").optional(),
    Field::integer("maxswap").optional(),
    Field::integer("mem").optional(),
    Field::string("name").optional(),
    Field::integer("netin").optional(),
    Field::integer("netout").optional(),
    Field::number("pressurecpufull").optional(),
    Field::number("pressurecpusome").optional(),
    Field::number("pressureiofull").optional(),
    Field::number("pressureiosome").optional(),
    Field::number("pressurememoryfull").optional(),
    Field::number("pressurememorysome").optional(),
    Field::string("status").one_of(&["stopped", "running"]),
    Field::string("tags").optional(),
    Field::boolean("template").optional().default("0"),
    Field::integer("uptime").optional(),
    VMID,
];

/// The entries of a directory.
const SUBDIRS: Shape = Shape::Array(&Shape::Object {
    fields: &[&[Field::string("subdir")]],
    open: false,
});

/// Parameters of a creation that are not options of the container.
const CREATE: &[Field] = &[
    NODE,
    VMID,
    Field::number("bwlimit")
        .optional()
        .min(0.0)
        .default("restore limit from datacenter or storage config")
        .unbuilt(),
    // Without a backup there is nothing that it could overwrite.
    Field::boolean("force").optional(),
    Field::boolean("ha-managed")
        .optional()
        .default("0")
        .unbuilt(),
    Field::boolean("ignore-unpack-errors").optional(),
    Field::string("ostemplate").max_length(255),
    Field::string("password").optional().min_length(5),
    Field::string("pool").optional().format(format::POOL_ID),
    Field::boolean("restore").optional().unbuilt(),
    Field::string("ssh-public-keys").optional(),
    Field::boolean("start").optional().default("0"),
    Field::string("storage")
        .optional()
        .format(format::STORAGE_ID)
        .default("local"),
    Field::boolean("unique").optional().requires("restore"),
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

/// A new container needs rights on its number or on its pool; its options need the same rights as
/// later changes. Its new file systems need only space on their storages.
fn create_needs(params: &Values) -> Vec<Need> {
    let guest = format!("/vms/{}", params.get("vmid").cloned().unwrap_or_default());
    let pool = params.get("pool").and_then(|pool| pool.as_str());
    let pool = pool.map(|pool| format!("/pool/{pool}"));
    let mut needs = vec![Need {
        or_on: pool.clone(),
        ..Need::all(guest.as_str(), &[Privilege::VmAllocate])
    }];
    // Unprivileged unless it is said otherwise.
    if params.get("unprivileged").and_then(|flag| flag.as_bool()) == Some(false) {
        needs.push(Need::all("/", &[Privilege::SysModify]));
    }
    let options = params
        .iter()
        .filter(|(name, value)| !is_new(name, value.as_str().unwrap_or_default()));
    let options = options.map(|(name, value)| (name.clone(), value.clone()));
    needs.extend(option_needs(&options.collect(), &guest, pool.as_deref()));
    let storages = params.get("storage").and_then(|storage| storage.as_str());
    let default = storages.unwrap_or("local");
    needs.extend(space_needs(params, default));
    if !params.contains_key("rootfs") {
        needs.push(space(default));
    }
    needs
}

/// Whether a mount point asks for a new file system.
fn is_new(option: &str, value: &str) -> bool {
    storage_of_new(option, value, "local").is_some()
}

/// The storage where an option asks for a new file system; a size alone means the default one.
fn storage_of_new(option: &str, value: &str, default: &str) -> Option<String> {
    let slot: MountSlot = option.parse().ok()?;
    let first = value.split(',').next()?;
    if first.parse::<f64>().is_ok() {
        return Some(default.to_owned());
    }
    match MountPoint::parse(slot, value).ok()?.source() {
        MountSource::New { storage, .. } => Some(storage.to_string()),
        _ => None,
    }
}

fn space(storage: &str) -> Need {
    let path = format!("/storage/{storage}");
    Need::all(path, &[Privilege::DatastoreAllocateSpace])
}

/// Space on every storage where a new file system is requested.
pub(super) fn space_needs(params: &Values, default: &str) -> Vec<Need> {
    let storages = params.iter().filter_map(|(name, value)| {
        storage_of_new(name, value.as_str().unwrap_or_default(), default)
    });
    storages.map(|storage| space(&storage)).collect()
}

pub(in crate::table) const ROWS: &[Row] = &[
    Row::get("/nodes/{node}/lxc", "lxc_list", "The containers of a node.")
        .params(&[&[NODE]])
        .returns(Shape::Array(&Shape::Object {
            fields: &[OBSERVED],
            open: true,
        }))
        .permission(Permission::User)
        .on_node()
        .index(),
    Row::post("/nodes/{node}/lxc", "lxc_create", "Create a container.")
        .params(ALL_CREATE)
        .check(Check::Computed(create_needs))
        .submit()
        .on_node(),
    Row::get(
        "/nodes/{node}/lxc/{vmid}",
        "lxc_directory",
        "Index of a container.",
    )
    .params(&[&[NODE, VMID]])
    .returns(SUBDIRS)
    .permission(Permission::User)
    .on_node()
    .index(),
    Row::delete(
        "/nodes/{node}/lxc/{vmid}",
        "lxc_destroy",
        "Destroy a container and its volumes.",
    )
    .params(&[&[
        NODE,
        VMID,
        Field::boolean("destroy-unreferenced-disks").optional(),
        Field::boolean("force").optional().default("0"),
        Field::boolean("purge").optional().default("0"),
    ]])
    .check(Check::On("/vms/{vmid}", &[Privilege::VmAllocate]))
    .submit()
    .on_node(),
    Row::get(
        "/nodes/{node}/lxc/{vmid}/status",
        "lxc_status_directory",
        "Index of a container's power commands.",
    )
    .params(&[&[NODE, VMID]])
    .returns(SUBDIRS)
    .permission(Permission::User)
    .on_node()
    .index(),
];
