//! `/nodes/{node}/{termproxy,vncshell,spiceshell,vncwebsocket}`

use model::Privilege;
use model::schema::{Field, Shape, format};

use crate::table::params::NODE;
use crate::{Check, Row};

const CONSOLE: Check = Check::On("/nodes/{node}", &[Privilege::SysConsole]);

/// What runs in a shell.
const COMMAND: &[Field] = &[
    Field::string("cmd")
        .optional()
        .one_of(&["ceph_install", "login", "upgrade"])
        .default("login")
        .unbuilt_values(&["ceph_install", "upgrade"]),
    Field::string("cmd-opts")
        .optional()
        .default("")
        .requires("cmd")
        .unbuilt(),
];

pub(in crate::table) const ROWS: &[Row] = &[
    Row::post(
        "/nodes/{node}/termproxy",
        "node_termproxy",
        "Get a ticket for a shell of a node in a terminal.",
    )
    .params(&[&[NODE], COMMAND])
    .returns(Shape::Any)
    .check(CONSOLE)
    .on_node()
    .local(),
    Row::post(
        "/nodes/{node}/vncshell",
        "node_vncshell",
        "Get a ticket for a shell of a node over VNC.",
    )
    .params(&[
        &[NODE],
        COMMAND,
        &[
            Field::integer("height")
                .optional()
                .range(16.0, 2160.0)
                .unbuilt(),
            Field::boolean("websocket").optional(),
            Field::integer("width")
                .optional()
                .range(16.0, 4096.0)
                .unbuilt(),
        ],
    ])
    .returns(Shape::Any)
    .check(CONSOLE)
    .on_node()
    .local(),
    Row::post(
        "/nodes/{node}/spiceshell",
        "node_spiceshell",
        "Get a shell of a node over SPICE.",
    )
    .params(&[
        &[NODE],
        COMMAND,
        &[Field::string("proxy")
            .optional()
            .format(format::ADDRESS)
            .unbuilt()],
    ])
    .returns(Shape::Any)
    .check(CONSOLE)
    .on_node()
    .local(),
    Row::get(
        "/nodes/{node}/vncwebsocket",
        "node_vncwebsocket",
        "Open a shell of a node over a websocket.",
    )
    .params(&[&[
        NODE,
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
