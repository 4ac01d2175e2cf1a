//! `/nodes/{node}/lxc/{vmid}/status`, `…/interfaces`

use model::Privilege;
use model::schema::{Field, Shape};

use super::guests::OBSERVED;
use crate::table::params::{NODE, SKIPLOCK, VMID};
use crate::{Check, Row};

const INTERFACES: Shape = Shape::Array(&Shape::Object {
    fields: &[&[
        Field::string("hardware-address"),
        Field::string("hwaddr"),
        Field::string("inet").optional(),
        Field::string("inet6").optional(),
        Field::array(
            "ip-addresses",
            &Shape::Object {
                fields: &[&[
                    Field::string("ip-address").optional(),
                    Field::string("ip-address-type").optional(),
                    Field::integer("prefix").optional(),
                ]],
                open: false,
            },
        ),
        Field::string("name"),
    ]],
    open: false,
});

const POWER: Check = Check::On("/vms/{vmid}", &[Privilege::VmPowerMgmt]);

pub(in crate::table) const ROWS: &[Row] = &[
    Row::get(
        "/nodes/{node}/lxc/{vmid}/status/current",
        "lxc_status",
        "The status and resource use of a container.",
    )
    .params(&[&[NODE, VMID]])
    .returns(Shape::Object {
        fields: &[OBSERVED, &[Field::open_object("ha")]],
        // `swap`, `type` and `pid` are present although the schema does not name them.
        open: true,
    })
    .check(Check::On("/vms/{vmid}", &[Privilege::VmAudit]))
    .on_node(),
    Row::post(
        "/nodes/{node}/lxc/{vmid}/status/start",
        "lxc_start",
        "Start a container.",
    )
    .params(&[&[
        NODE,
        VMID,
        SKIPLOCK,
        Field::boolean("debug").optional().default("0"),
    ]])
    .check(POWER)
    .submit()
    .on_node(),
    Row::post(
        "/nodes/{node}/lxc/{vmid}/status/stop",
        "lxc_stop",
        "Stop a container at once, without a shutdown.",
    )
    .params(&[&[
        NODE,
        VMID,
        SKIPLOCK,
        Field::boolean("overrule-shutdown").optional().default("0"),
    ]])
    .check(POWER)
    .submit()
    .on_node()
    .local(),
    Row::post(
        "/nodes/{node}/lxc/{vmid}/status/shutdown",
        "lxc_shutdown",
        "Shut a container down.",
    )
    .params(&[&[
        NODE,
        VMID,
        Field::boolean("forceStop").optional().default("0"),
        Field::integer("timeout").optional().min(0.0).default("60"),
    ]])
    .check(POWER)
    .submit()
    .on_node()
    .local(),
    Row::post(
        "/nodes/{node}/lxc/{vmid}/status/reboot",
        "lxc_reboot",
        "Shut a container down and start it again with pending changes.",
    )
    .params(&[&[NODE, VMID, Field::integer("timeout").optional().min(0.0)]])
    .check(POWER)
    .submit()
    .on_node(),
    Row::get(
        "/nodes/{node}/lxc/{vmid}/interfaces",
        "lxc_interfaces",
        "The network interfaces of a running container, with their addresses.",
    )
    .params(&[&[NODE, VMID]])
    .returns(INTERFACES)
    .check(Check::On("/vms/{vmid}", &[Privilege::VmAudit]))
    .on_node(),
];
