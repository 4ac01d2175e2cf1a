//! `/nodes/{node}/qemu/{vmid}/vncproxy`, `…/termproxy`, `…/vncwebsocket`

use model::Privilege;
use model::schema::{Field, Shape};

use crate::table::params::{NODE, VMID};
use crate::{Check, Row};

const CONSOLE: Check = Check::On("/vms/{vmid}", &[Privilege::VmConsole]);

pub(in crate::table) const ROWS: &[Row] = &[
    Row::post(
        "/nodes/{node}/qemu/{vmid}/vncproxy",
        "qemu_vncproxy",
        "Get a ticket for the VNC console of a virtual machine.",
    )
    .params(&[&[
        NODE,
        VMID,
        Field::boolean("generate-password").optional().default("0"),
        Field::boolean("websocket").optional(),
    ]])
    .returns(Shape::Any)
    .check(CONSOLE)
    .on_node()
    .local(),
    Row::post(
        "/nodes/{node}/qemu/{vmid}/termproxy",
        "qemu_termproxy",
        "Get a ticket for a serial console of a virtual machine.",
    )
    .params(&[&[
        NODE,
        VMID,
        Field::string("serial")
            .optional()
            .one_of(&["serial0", "serial1", "serial2", "serial3"]),
    ]])
    .returns(Shape::Any)
    .check(CONSOLE)
    .on_node()
    .local(),
    Row::get(
        "/nodes/{node}/qemu/{vmid}/vncwebsocket",
        "qemu_vncwebsocket",
        "Open a console over a websocket.",
    )
    .params(&[&[
        NODE,
        VMID,
        Field::integer("port").range(5900.0, 5999.0),
        Field::string("vncticket").max_length(512),
    ]])
    .returns(Shape::Object {
        fields: &[&[Field::string("port")]],
        open: true,
    })
    .check(CONSOLE)
    .stream()
    .on_node(),
];
