//! `/ostler`: operations that Proxmox VE does not have.

use model::Privilege;
use model::schema::{Field, Shape, format};

use super::params::{NODE, VMID};
use crate::{Check, Permission, Row};

/// The maximum length of a revision: three numbers of 16 digits.
const REVISION: usize = 50;

const CPU_NODE: Shape = Shape::Object {
    fields: &[&[
        Field::string("node"),
        Field::string("accel").optional().one_of(&["kvm", "tcg"]),
        Field::string("cpu").optional(),
        Field::string("error").optional(),
        Field::array("lacks", &Shape::String).optional(),
        Field::string("vendor").optional(),
    ]],
    open: false,
};

/// The maximum length of what is said to an acknowledgement.
const COMMENT: usize = 500;

const ALERT: Field = Field::string("id").max_length(500);

const ACKNOWLEDGED: &[&[Field]] = &[&[
    Field::string("by"),
    Field::integer("at"),
    Field::string("comment").optional(),
]];

/// One of the things that there are several of.
const PART: Shape = Shape::Object {
    fields: &[],
    open: true,
};

const HARDWARE: &[Field] = &[
    Field::open_object("system"),
    Field::open_object("cpu"),
    Field::array("memory", &PART),
    Field::array("numa", &PART),
    Field::array("controllers", &PART),
    Field::array("disks", &PART),
    Field::array("ports", &PART),
    Field::array("firmware", &PART),
    Field::open_object("time"),
];

pub(super) const ROWS: &[Row] = &[
    Row::get(
        "/ostler",
        "ostler_directory",
        "Index of Ostler's own operations.",
    )
    .permission(Permission::User)
    .index()
    .returns(Shape::Array(&Shape::Object {
        fields: &[&[Field::string("subdir")]],
        open: true,
    })),
    Row::get(
        "/ostler/alerts",
        "ostler_alerts",
        "What is wrong now, worst first, and what to do.",
    )
    .returns(Shape::Array(&Shape::Object {
        fields: &[&[
            Field::string("id"),
            Field::string("node"),
            Field::string("severity").one_of(&["warning", "error"]),
            Field::string("object"),
            Field::integer("since"),
            Field::string("text"),
            Field::string("advice"),
            Field::object("acknowledged", ACKNOWLEDGED).optional(),
        ]],
        open: true,
    }))
    // A caller sees the alerts of objects that it may see.
    .permission(Permission::User),
    Row::post(
        "/ostler/alerts/acknowledge",
        "ostler_alert_acknowledge",
        "Note that the caller knows of an alert, until it closes.",
    )
    .params(&[&[ALERT, Field::string("comment").optional().max_length(COMMENT)]])
    // Sys.Modify on the path of what the alert is about.
    .permission(Permission::User),
    Row::delete(
        "/ostler/alerts/acknowledge",
        "ostler_alert_unacknowledge",
        "Take the acknowledgement of an alert back.",
    )
    .params(&[&[ALERT]])
    // As to acknowledge it.
    .permission(Permission::User),
    Row::get(
        "/ostler/changes",
        "changes",
        "Changes of /cluster/resources and of alerts since a revision; over a websocket, a stream of them.",
    )
    .params(&[&[Field::string("since").optional().max_length(REVISION)]])
    .returns(Shape::Object {
        fields: &[&[
            Field::string("revision"),
            Field::boolean("reset"),
            Field::array(
                "rows",
                &Shape::Object {
                    fields: &[&[Field::string("id"), Field::string("type")]],
                    open: true,
                },
            ),
            Field::array("gone", &Shape::String),
        ]],
        open: false,
    })
    .permission(Permission::User)
    .index(),
    Row::get(
        "/ostler/cpu",
        "ostler_cpu",
        "What the processors of guests can have: on each node, and on all of them.",
    )
    .returns(Shape::Object {
        fields: &[&[
            Field::string("cpu").optional(),
            Field::array("flags", &Shape::String).optional(),
            Field::array("models", &Shape::String).optional(),
            Field::array("nodes", &CPU_NODE),
        ]],
        open: false,
    })
    .check(Check::On("/", &[Privilege::SysAudit])),
    Row::get(
        "/ostler/doctor",
        "ostler_doctor",
        "Examine all nodes of the cluster: what was found, what it means, what to do.",
    )
    .returns(Shape::Array(&Shape::Object {
        fields: &[&[
            Field::string("node"),
            Field::string("check"),
            Field::string("level").one_of(&["ok", "warning", "error"]),
            Field::string("found"),
            Field::string("means").optional(),
            Field::string("advice").optional(),
        ]],
        open: true,
    }))
    .check(Check::On("/", &[Privilege::SysAudit]))
    .on_all_nodes(),
    Row::get(
        "/ostler/hardware",
        "ostler_hardware",
        "What a node is made of: machine, processors, memory and its modules, controllers, disks, \
         network ports, firmware, and what keeps its clock right.",
    )
    .params(&[&[NODE]])
    .returns(Shape::Object {
        fields: &[HARDWARE],
        open: false,
    })
    .check(Check::On("/nodes/{node}", &[Privilege::SysAudit]))
    .on_node(),
    Row::get(
        "/ostler/last-hour",
        "ostler_last_hour",
        "How much of their processors guests have used in the last hour: a value a minute, in \
         thousandths, null where it is not known.",
    )
    .params(&[&[Field::string("vms").format(format::VMID_LIST)]])
    .returns(Shape::Array(&Shape::Object {
        fields: &[&[
            Field::string("node"),
            VMID,
            Field::integer("end"),
            Field::array("cpu", &Shape::Any),
        ]],
        open: false,
    }))
    .on_all_nodes()
    // A caller gets rows of guests that it may see.
    .permission(Permission::User),
];
