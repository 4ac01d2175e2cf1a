//! `/nodes/{node}/qemu/{vmid}/status`

use model::Privilege;
use model::schema::{Field, Shape, format};

use crate::table::params::{NODE, SKIPLOCK, VMID};
use crate::{Check, Row};

pub(super) const POWER: Check = Check::On("/vms/{vmid}", &[Privilege::VmPowerMgmt]);

/// The observed fields of a guest; lists show them too.
pub(in crate::table) const OBSERVED: &[Field] = &[
    Field::number("cpu").optional(),
    Field::number("cpus").optional(),
    Field::integer("diskread").optional(),
    Field::integer("diskwrite").optional(),
    Field::string("lock").optional(),
    Field::integer("maxdisk").optional(),
    Field::integer("maxmem").optional(),
    Field::integer("mem").optional(),
    Field::integer("memhost").optional(),
    Field::string("name").optional(),
    Field::integer("netin").optional(),
    Field::integer("netout").optional(),
    Field::integer("pid").optional(),
    Field::number("pressurecpufull").optional(),
    Field::number("pressurecpusome").optional(),
    Field::number("pressureiofull").optional(),
    Field::number("pressureiosome").optional(),
    Field::number("pressurememoryfull").optional(),
    Field::number("pressurememorysome").optional(),
    Field::string("qmpstatus").optional(),
    Field::string("running-machine").optional(),
    Field::string("running-qemu").optional(),
    Field::boolean("serial").optional(),
    Field::string("status").one_of(&["stopped", "running"]),
    Field::string("tags").optional(),
    Field::boolean("template").optional().default("0"),
    Field::integer("uptime").optional(),
    VMID,
];

pub(in crate::table) const ROWS: &[Row] = &[
    Row::get(
        "/nodes/{node}/qemu/{vmid}/status/current",
        "qemu_status",
        "The status and resource use of a virtual machine.",
    )
    .params(&[&[NODE, VMID]])
    .returns(Shape::Object {
        fields: &[
            OBSERVED,
            &[
                Field::boolean("agent").optional(),
                Field::string("clipboard").optional().one_of(&["vnc"]),
                Field::open_object("ha"),
                Field::open_object("nics").optional(),
                Field::boolean("spice").optional(),
            ],
        ],
        // `disk` is present although the schema does not name it.
        open: true,
    })
    .check(Check::On("/vms/{vmid}", &[Privilege::VmAudit]))
    .on_node(),
    Row::post(
        "/nodes/{node}/qemu/{vmid}/status/start",
        "qemu_start",
        "Start a virtual machine.",
    )
    .params(&[&[
        NODE,
        VMID,
        SKIPLOCK,
        Field::string("force-cpu").optional().unbuilt(),
        Field::string("machine").optional().unbuilt(),
        Field::string("migratedfrom")
            .optional()
            .format(format::NODE)
            .unbuilt(),
        Field::string("migration_network")
            .optional()
            .format(format::unchecked("CIDR"))
            .unbuilt(),
        Field::string("migration_type")
            .optional()
            .one_of(&["secure", "insecure"])
            .unbuilt(),
        Field::string("nets-host-mtu")
            .optional()
            .pattern(r"net\d+=\d+(,net\d+=\d+)*")
            .unbuilt(),
        Field::string("stateuri")
            .optional()
            .max_length(128)
            .unbuilt(),
        Field::string("targetstorage")
            .optional()
            .format(format::STORAGE_PAIR_LIST)
            .unbuilt(),
        Field::integer("timeout")
            .optional()
            .min(0.0)
            .default("max(30, vm memory in GiB)"),
        Field::boolean("with-conntrack-state")
            .optional()
            .default("0")
            .unbuilt(),
    ]])
    .check(POWER)
    .submit()
    .on_node(),
    Row::post(
        "/nodes/{node}/qemu/{vmid}/status/stop",
        "qemu_stop",
        "Stop a virtual machine at once, without a shutdown.",
    )
    .params(&[&[
        NODE,
        VMID,
        SKIPLOCK,
        Field::boolean("keepActive").optional().default("0"),
        Field::string("migratedfrom")
            .optional()
            .format(format::NODE)
            .unbuilt(),
        Field::boolean("overrule-shutdown").optional().default("0"),
        Field::integer("timeout").optional().min(0.0),
    ]])
    .check(POWER)
    .submit()
    .on_node()
    .local(),
];
