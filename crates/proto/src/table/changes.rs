//! `/ostler`: operations that Proxmox VE does not have.

use model::Privilege;
use model::schema::{Field, Shape};

use super::cluster::RESOURCE;
use crate::{Check, Permission, Row};

/// The maximum length of a revision: three numbers of 16 digits.
const REVISION: usize = 50;

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
        "/ostler/changes",
        "changes",
        "Changes of /cluster/resources since a revision; over a websocket, a stream of them.",
    )
    .params(&[&[Field::string("since").optional().max_length(REVISION)]])
    .returns(Shape::Object {
        fields: &[&[
            Field::string("revision"),
            Field::boolean("reset"),
            Field::array(
                "rows",
                &Shape::Object {
                    fields: &[RESOURCE],
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
];
