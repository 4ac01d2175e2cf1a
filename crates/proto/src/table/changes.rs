//! `/ostler`: operations that Proxmox VE does not have.

use model::schema::{Field, Shape};

use super::cluster::RESOURCE;
use crate::{Permission, Row};

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
];
