//! `/nodes/{node}/{status,version,time}`

use model::Privilege;
use model::schema::{Field, Shape};

use crate::table::params::NODE;
use crate::{Check, Permission, Row};

const AUDIT: Check = Check::On("/nodes/{node}", &[Privilege::SysAudit]);

const STATUS: &[Field] = &[
    Field::object(
        "boot-info",
        &[&[
            Field::string("mode").one_of(&["efi", "legacy-bios"]),
            Field::boolean("secureboot").optional(),
        ]],
    ),
    Field::number("cpu"),
    Field::open_object("cpuinfo"),
    Field::object(
        "current-kernel",
        &[&[
            Field::string("machine"),
            Field::string("release"),
            Field::string("sysname"),
            Field::string("version"),
        ]],
    ),
    Field::array("loadavg", &Shape::String),
    Field::object(
        "memory",
        &[&[
            Field::integer("available"),
            Field::integer("free"),
            Field::integer("total"),
            Field::integer("used"),
        ]],
    ),
    // Not in Proxmox VE: whether KVM works here, and the versions of the programs in use.
    Field::open_object("ostler"),
    Field::string("pveversion"),
    Field::object(
        "rootfs",
        &[&[
            Field::integer("avail"),
            Field::integer("free"),
            Field::integer("total"),
            Field::integer("used"),
        ]],
    ),
];

/// No clock is set before this time, when the API did not exist.
const TIME: f64 = 1_297_163_644.0;

pub(in crate::table) const ROWS: &[Row] = &[
    Row::get(
        "/nodes/{node}/status",
        "node_status",
        "The status and resource use of a node.",
    )
    .params(&[&[NODE]])
    .returns(Shape::Object {
        fields: &[STATUS],
        open: true,
    })
    .check(AUDIT)
    .on_node(),
    Row::post(
        "/nodes/{node}/status",
        "node_power",
        "Reboot a node, or shut it down.",
    )
    .params(&[&[
        NODE,
        Field::string("command").one_of(&["reboot", "shutdown"]),
    ]])
    .check(Check::On("/nodes/{node}", &[Privilege::SysPowerMgmt]))
    .on_node()
    .local(),
    Row::get(
        "/nodes/{node}/time",
        "node_time",
        "A node's time and time zone.",
    )
    .params(&[&[NODE]])
    .returns(Shape::Object {
        fields: &[&[
            Field::integer("localtime").min(TIME),
            Field::integer("time").min(TIME),
            Field::string("timezone"),
        ]],
        open: false,
    })
    .check(AUDIT)
    .on_node(),
    Row::put(
        "/nodes/{node}/time",
        "node_time_update",
        "Set a node's time zone.",
    )
    .params(&[&[NODE, Field::string("timezone")]])
    .check(Check::On("/nodes/{node}", &[Privilege::SysModify]))
    .on_node()
    .local(),
    Row::get(
        "/nodes/{node}/version",
        "node_version",
        "The API version of a node.",
    )
    .params(&[&[NODE]])
    .returns(Shape::Object {
        fields: &[&[
            Field::string("release"),
            Field::string("repoid"),
            Field::string("version"),
        ]],
        open: true,
    })
    .permission(Permission::User)
    .on_node(),
];
