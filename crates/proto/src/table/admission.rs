//! `/ostler/admission` and what it is on a node: how much guests may be promised.

use model::Privilege;
use model::schema::{Field, Shape};

use super::params::{NODE, VMID};
use crate::{Check, Row};

const DIGEST: Field = Field::string("digest").optional().max_length(40);

/// Each option can be the cluster's or a node's own.
const POLICY: &[Field] = &[
    Field::string("mode")
        .optional()
        .one_of(&["refuse", "warn"])
        .default("refuse"),
    // Of what the reserve leaves.
    Field::number("memory-ratio").optional().range(0.01, 1000.0),
    // In MiB.
    Field::integer("memory-reserve")
        .optional()
        .range(0.0, 1073741824.0),
    Field::number("cpu-ratio").optional().range(0.01, 1000.0),
    Field::integer("cpu-reserve").optional().range(0.0, 65536.0),
];

const CHANGE: &[Field] = &[Field::string("delete").optional().max_length(200), DIGEST];

const ROOM: &[&[Field]] = &[&[
    Field::integer("total"),
    Field::integer("reserve"),
    Field::number("policy-ratio").optional(),
    Field::integer("limit").optional(),
    Field::integer("committed"),
    Field::integer("free"),
    Field::number("ratio"),
]];

const ROOMS: &[Field] = &[
    Field::string("mode").one_of(&["refuse", "warn"]),
    Field::integer("guests"),
    Field::object("memory", ROOM),
    Field::object("cpus", ROOM),
];

const NEEDS: &[&[Field]] = &[&[Field::integer("memory"), Field::integer("cpus")]];

pub(super) const ROWS: &[Row] = &[
    Row::get(
        "/ostler/admission",
        "ostler_admission",
        "How much running guests may be promised, on nodes that say nothing else.",
    )
    .returns(Shape::Object {
        fields: &[POLICY, &[DIGEST]],
        open: false,
    })
    .check(Check::On("/", &[Privilege::SysAudit])),
    Row::put(
        "/ostler/admission",
        "ostler_admission_update",
        "Say how much running guests may be promised, on nodes that say nothing else.",
    )
    .params(&[POLICY, CHANGE])
    .check(Check::On("/", &[Privilege::SysModify])),
    Row::get(
        "/ostler/nodes/{node}/admission",
        "node_admission",
        "What a node has, what running guests are promised of it, and its own policy.",
    )
    .params(&[&[NODE]])
    .returns(Shape::Object {
        fields: &[ROOMS, &[Field::object("policy", &[POLICY]), DIGEST]],
        open: false,
    })
    .check(Check::On("/nodes/{node}", &[Privilege::SysAudit]))
    .on_node(),
    Row::put(
        "/ostler/nodes/{node}/admission",
        "node_admission_update",
        "Say how much running guests may be promised on a node.",
    )
    .params(&[&[NODE], POLICY, CHANGE])
    .check(Check::On("/nodes/{node}", &[Privilege::SysModify]))
    .on_node(),
    Row::get(
        "/ostler/nodes/{node}/guests/{vmid}/admission",
        "guest_admission",
        "Whether a guest's node has room for it, before it is started.",
    )
    .params(&[&[NODE, VMID]])
    .returns(Shape::Object {
        fields: &[
            ROOMS,
            &[
                Field::boolean("fits"),
                Field::boolean("overcommits"),
                Field::object("needs", NEEDS),
                Field::string("reason").optional(),
            ],
        ],
        open: false,
    })
    .check(Check::On("/vms/{vmid}", &[Privilege::VmAudit]))
    .on_node(),
];
