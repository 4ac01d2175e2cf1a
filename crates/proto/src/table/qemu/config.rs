//! `/nodes/{node}/qemu/{vmid}/{config,pending,resize,unlink}`

use model::Privilege;
use model::qemu::OPTIONS;
use model::schema::{Field, Shape, Values, format};

use super::disks::DISKS;
use super::guests::space_needs;
use super::rights::option_needs;
use crate::table::params::{NODE, SKIPLOCK, VMID};
use crate::{Check, Need, Row};

pub(in crate::table) const DIGEST: Field = Field::string("digest").optional().max_length(40);

/// Parameters of a change that are not options of the guest.
const CHANGE: &[Field] = &[
    NODE,
    VMID,
    SKIPLOCK,
    DIGEST,
    Field::string("delete")
        .optional()
        .format(format::CONFIG_ID_LIST),
    Field::boolean("force").optional().requires("delete"),
    Field::string("revert")
        .optional()
        .format(format::CONFIG_ID_LIST),
];

const POST_ONLY: &[Field] = &[
    Field::integer("background_delay")
        .optional()
        .range(1.0, 30.0),
    Field::string("import-working-storage")
        .optional()
        .format(format::STORAGE_ID)
        .unbuilt(),
];

const fn with_options<const N: usize>(first: [&'static [Field]; 2]) -> [&'static [Field]; N] {
    let mut groups: [&[Field]; N] = [first[0]; N];
    groups[1] = first[1];
    let mut at = 0;
    while at < OPTIONS.len() {
        groups[at + 2] = OPTIONS[at];
        at += 1;
    }
    groups
}

const PUT: &[&[Field]] = &with_options::<{ OPTIONS.len() + 2 }>([CHANGE, &[]]);
const POST: &[&[Field]] = &with_options::<{ OPTIONS.len() + 2 }>([CHANGE, POST_ONLY]);

/// The fields of a configuration besides its options.
const SHOWN: &[Field] = &[
    Field::string("digest"),
    Field::string("meta").optional(),
    Field::string("parent").optional(),
    Field::string("running-nets-host-mtu").optional(),
    Field::string("runningcpu").optional(),
    Field::string("runningmachine").optional(),
    Field::integer("snaptime").optional(),
    Field::string("vmstate").optional(),
];
const CONFIG: &[&[Field]] = &with_options::<{ OPTIONS.len() + 2 }>([SHOWN, &[]]);

/// The rights that the new values need. The operation knows the old values; it checks them and
/// refuses options that only root may set.
fn change_needs(params: &Values) -> Vec<Need> {
    let guest = format!("/vms/{}", params.get("vmid").cloned().unwrap_or_default());
    let mut needs = option_needs(params, &guest, None);
    needs.extend(space_needs(params));
    needs
}

/// A caller needs one of these at least; which one depends on the changed options.
const CHANGE_CHECK: Check = Check::All(&[
    Check::AnyOn(
        "/vms/{vmid}",
        &[
            Privilege::VmConfigDisk,
            Privilege::VmConfigCdrom,
            Privilege::VmConfigCpu,
            Privilege::VmConfigMemory,
            Privilege::VmConfigNetwork,
            Privilege::VmConfigHwType,
            Privilege::VmConfigOptions,
            Privilege::VmConfigCloudinit,
        ],
    ),
    Check::Computed(change_needs),
]);

pub(in crate::table) const PENDING: Shape = Shape::Array(&Shape::Object {
    fields: &[&[
        Field::integer("delete").optional().range(0.0, 2.0),
        Field::string("key"),
        Field::any("pending").optional(),
        Field::any("value").optional(),
    ]],
    open: false,
});

pub(in crate::table) const ROWS: &[Row] = &[
    Row::get(
        "/nodes/{node}/qemu/{vmid}/config",
        "qemu_config",
        "A virtual machine's configuration, pending changes included.",
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
        "/nodes/{node}/qemu/{vmid}/config",
        "qemu_configure",
        "Change a virtual machine's configuration and wait for completion.",
    )
    .params(PUT)
    .check(CHANGE_CHECK)
    .on_node(),
    Row::post(
        "/nodes/{node}/qemu/{vmid}/config",
        "qemu_configure_task",
        "Change a virtual machine's configuration in a task.",
    )
    .params(POST)
    .check(CHANGE_CHECK)
    .submit()
    .on_node(),
    Row::get(
        "/nodes/{node}/qemu/{vmid}/pending",
        "qemu_pending",
        "The configuration with pending changes.",
    )
    .params(&[&[NODE, VMID]])
    .returns(PENDING)
    .check(Check::On("/vms/{vmid}", &[Privilege::VmAudit]))
    .on_node(),
    Row::put(
        "/nodes/{node}/qemu/{vmid}/resize",
        "qemu_resize",
        "Resize a disk.",
    )
    .params(&[&[
        NODE,
        VMID,
        SKIPLOCK,
        DIGEST,
        Field::string("disk").one_of(DISKS),
        Field::string("size").pattern(r"\+?\d+(\.\d+)?[KMGT]?"),
    ]])
    .check(Check::On("/vms/{vmid}", &[Privilege::VmConfigDisk]))
    .submit()
    .on_node(),
    Row::put(
        "/nodes/{node}/qemu/{vmid}/unlink",
        "qemu_unlink",
        "Detach drives from a virtual machine, or delete unused volumes.",
    )
    .params(&[&[
        NODE,
        VMID,
        Field::boolean("force").optional(),
        Field::string("idlist").format(format::CONFIG_ID_LIST),
    ]])
    .check(Check::On("/vms/{vmid}", &[Privilege::VmConfigDisk]))
    .on_node(),
];
