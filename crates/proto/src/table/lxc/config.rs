//! `/nodes/{node}/lxc/{vmid}/{config,pending}`

use model::Privilege;
use model::lxc::OPTIONS;
use model::schema::{Field, Shape, Values, format};

use super::guests::space_needs;
use super::rights::option_needs;
use crate::table::params::{NODE, VMID};
use crate::table::qemu::config::{DIGEST, PENDING};
use crate::{Check, Need, Row};

/// Parameters of a change that are not options of the container.
const CHANGE: &[Field] = &[
    NODE,
    VMID,
    DIGEST,
    Field::string("delete")
        .optional()
        .format(format::CONFIG_ID_LIST),
    Field::string("revert")
        .optional()
        .format(format::CONFIG_ID_LIST),
];

const fn with_options<const N: usize>(first: &'static [Field]) -> [&'static [Field]; N] {
    let mut groups: [&[Field]; N] = [first; N];
    let mut at = 0;
    while at < OPTIONS.len() {
        groups[at + 1] = OPTIONS[at];
        at += 1;
    }
    groups
}

const PUT: &[&[Field]] = &with_options::<{ OPTIONS.len() + 1 }>(CHANGE);

/// The fields of a configuration besides its options.
const SHOWN: &[Field] = &[
    Field::string("digest"),
    Field::array("lxc", &Shape::Array(&Shape::String)).optional(),
    Field::string("parent").optional(),
    Field::integer("snaptime").optional(),
];
const CONFIG: &[&[Field]] = &with_options::<{ OPTIONS.len() + 1 }>(SHOWN);

/// The rights that the new values need. The operation knows the old values; it checks them and
/// refuses options that only root may set.
fn change_needs(params: &Values) -> Vec<Need> {
    let guest = format!("/vms/{}", params.get("vmid").cloned().unwrap_or_default());
    let mut needs = option_needs(params, &guest, None);
    needs.extend(space_needs(params, "local"));
    needs
}

/// A caller needs one of these at least; which one depends on the changed options.
const CHANGE_CHECK: Check = Check::All(&[
    Check::AnyOn(
        "/vms/{vmid}",
        &[
            Privilege::VmConfigDisk,
            Privilege::VmConfigCpu,
            Privilege::VmConfigMemory,
            Privilege::VmConfigNetwork,
            Privilege::VmConfigOptions,
        ],
    ),
    Check::Computed(change_needs),
]);

pub(in crate::table) const ROWS: &[Row] = &[
    Row::get(
        "/nodes/{node}/lxc/{vmid}/config",
        "lxc_config",
        "A container's configuration, pending changes included.",
    )
    .params(&[&[
        NODE,
        VMID,
        Field::boolean("current").optional().default("0"),
        Field::string("snapshot")
            .optional()
            .max_length(40)
            .format(format::CONFIG_ID),
    ]])
    .returns(Shape::Object {
        fields: CONFIG,
        open: false,
    })
    .check(Check::On("/vms/{vmid}", &[Privilege::VmAudit]))
    .on_node(),
    Row::put(
        "/nodes/{node}/lxc/{vmid}/config",
        "lxc_configure",
        "Change a container's configuration and wait for completion.",
    )
    .params(PUT)
    .check(CHANGE_CHECK)
    .on_node(),
    Row::get(
        "/nodes/{node}/lxc/{vmid}/pending",
        "lxc_pending",
        "The configuration with pending changes.",
    )
    .params(&[&[NODE, VMID]])
    .returns(PENDING)
    .check(Check::On("/vms/{vmid}", &[Privilege::VmAudit]))
    .on_node(),
];
