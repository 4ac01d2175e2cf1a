//! `/ostler`: what other implementations of this API do not have.

use model::schema::{Field, Shape};

use super::cluster::RESOURCE;
use crate::{Permission, Row};

/// The longest revision: three numbers of 16 digits.
const REVISION: usize = 50;

pub(super) const ROWS: &[Row] = &[
    Row::get("/ostler", "ostler_directory", "What is of Ostler's own.")
        .permission(Permission::User)
        .index()
        .returns(Shape::Array(&Shape::Object {
            fields: &[&[Field::string("subdir")]],
            open: true,
        })),
    Row::get(
        "/ostler/changes",
        "changes",
        "What has changed in /cluster/resources since a revision; as a websocket, all changes.",
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
