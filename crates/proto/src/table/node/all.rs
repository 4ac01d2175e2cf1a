//! `/nodes/{node}/{startall,stopall}`

use model::Privilege;
use model::schema::{Field, Values, format};

use crate::table::params::NODE;
use crate::{Check, Need, Row};

const VMS: Field = Field::string("vms").optional().format(format::VMID_LIST);
const WORKERS: Field = Field::integer("max-workers").optional().range(1.0, 64.0);

/// The right to start and stop each of the given guests.
fn needs(params: &Values) -> Vec<Need> {
    let list = params.get("vms").and_then(|list| list.as_str());
    format::split_list(list.unwrap_or_default())
        .map(|vmid| Need::all(format!("/vms/{vmid}"), &[Privilege::VmPowerMgmt]))
        .collect()
}

/// On everything, or on every given guest.
const POWER: Check = Check::Any(&[
    Check::On("/", &[Privilege::VmPowerMgmt]),
    Check::Given("vms", &Check::Computed(needs)),
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
];
