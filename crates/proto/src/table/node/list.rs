//! `/nodes` and `/nodes/{node}`

use model::schema::{Field, Shape};

use crate::table::cluster::NAMES;
use crate::table::params::NODE;
use crate::{Permission, Row};

pub(in crate::table) const ROWS: &[Row] = &[
    Row::get("/nodes", "node_list", "The nodes, with their resource use.")
        .returns(Shape::Array(&Shape::Object {
            fields: &[&[
                Field::number("cpu").optional(),
                Field::string("level").optional(),
                Field::integer("maxcpu").optional(),
                Field::integer("maxmem").optional(),
                Field::integer("mem").optional(),
                NODE,
                Field::string("ssl_fingerprint").optional(),
                Field::string("status").one_of(&["unknown", "online", "offline"]),
                Field::integer("uptime").optional(),
            ]],
            open: true,
        }))
        .permission(Permission::User)
        .index(),
    Row::get(
        "/nodes/{node}",
        "node_directory",
        "Index of a node's resources.",
    )
    .params(&[&[NODE]])
    .returns(NAMES)
    .permission(Permission::User)
    .index(),
];
