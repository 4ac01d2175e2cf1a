//! `/nodes/{node}/{startall,stopall,migrateall}`

use model::Privilege;
use model::schema::{Field, Values, format};

use crate::table::params::NODE;
use crate::{Check, Need, Row};

const VMS: Field = Field::string("vms").optional().format(format::VMID_LIST);
const WORKERS: Field = Field::integer("max-workers").optional().range(1.0, 64.0);

/// A right on each of the given guests.
fn on_given(params: &Values, right: &'static [Privilege]) -> Vec<Need> {
    let list = params.get("vms").and_then(|list| list.as_str());
    format::split_list(list.unwrap_or_default())
        .map(|vmid| Need::all(format!("/vms/{vmid}"), right))
        .collect()
}

fn power(params: &Values) -> Vec<Need> {
    on_given(params, &[Privilege::VmPowerMgmt])
}

fn migration(params: &Values) -> Vec<Need> {
    on_given(params, &[Privilege::VmMigrate])
}

/// On everything, or on every given guest.
const POWER: Check = Check::Any(&[
    Check::On("/", &[Privilege::VmPowerMgmt]),
    Check::Given("vms", &Check::Computed(power)),
]);
const MIGRATE: Check = Check::Any(&[
    Check::On("/", &[Privilege::VmMigrate]),
    Check::Given("vms", &Check::Computed(migration)),
]);

pub(in crate::table) const ROWS: &[Row] = &[
    Row::post(
        "/nodes/{node}/startall",
        "node_startall",
        "Start the guests of a node that start at boot, in their order.",
    )
    .params(&[&[
        NODE,
        Field::boolean("force").optional().default("off"),
        WORKERS,
        VMS,
    ]])
    .check(POWER)
    .submit()
    .on_node(),
    Row::post(
        "/nodes/{node}/stopall",
        "node_stopall",
        "Stop the guests of a node, in the reverse of their start order.",
    )
    .params(&[&[
        NODE,
        Field::boolean("force-stop").optional().default("1"),
        WORKERS,
        Field::integer("timeout")
            .optional()
            .range(0.0, 7200.0)
            .default("180"),
        VMS,
    ]])
    .check(POWER)
    .submit()
    .on_node()
    .local(),
    Row::post(
        "/nodes/{node}/migrateall",
        "node_migrateall",
        "Move the guests of a node to another node.",
    )
    .params(&[&[
        NODE,
        Field::string("target").format(format::NODE),
        WORKERS,
        // The same by its name in the datacenter's options.
        Field::integer("maxworkers").optional().range(1.0, 64.0),
        VMS,
        Field::boolean("with-local-disks").optional(),
    ]])
    .check(MIGRATE)
    .submit()
    .on_node(),
];
