//! `/nodes/{node}/lxc/{vmid}/vncproxy`, `…/termproxy`, `…/vncwebsocket`

use model::Privilege;
use model::schema::{Field, Shape};

use crate::table::params::{NODE, VMID};
use crate::{Check, Row};

const CONSOLE: Check = Check::On("/vms/{vmid}", &[Privilege::VmConsole]);

pub(in crate::table) const ROWS: &[Row] = &[
    Row::post(
        "/nodes/{node}/lxc/{vmid}/vncproxy",
        "lxc_vncproxy",
        "Get a ticket for the console of a container, shown by VNC.",
    )
    .params(&[&[
        NODE,
        VMID,
        // The terminal has one size.
        Field::integer("height").optional().range(16.0, 2160.0),
        Field::boolean("websocket").optional(),
        Field::integer("width").optional().range(16.0, 4096.0),
    ]])
    .returns(Shape::Any)
    .check(CONSOLE)
    .on_node()
    .local(),
    Row::post(
        "/nodes/{node}/lxc/{vmid}/termproxy",
        "lxc_termproxy",
        "Get a ticket for the console of a container.",
    )
    .params(&[&[NODE, VMID]])
    .returns(Shape::Any)
    .check(CONSOLE)
    .on_node()
    .local(),
    Row::get(
        "/nodes/{node}/lxc/{vmid}/vncwebsocket",
        "lxc_vncwebsocket",
        "Open the console of a container over a websocket.",
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
