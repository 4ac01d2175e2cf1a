//! `/nodes/{node}/{dns,hosts}`

use model::Privilege;
use model::schema::{Field, Shape};

use crate::table::params::NODE;
use crate::{Check, Row};

pub(in crate::table) const ROWS: &[Row] = &[
    Row::get(
        "/nodes/{node}/dns",
        "node_dns",
        "The name servers of a node.",
    )
    .params(&[&[NODE]])
    .returns(Shape::Object {
        fields: &[&[
            Field::string("dns1").optional(),
            Field::string("dns2").optional(),
            Field::string("dns3").optional(),
            Field::string("search").optional(),
        ]],
        open: false,
    })
    .check(Check::On("/nodes/{node}", &[Privilege::SysAudit]))
    .on_node(),
    Row::get(
        "/nodes/{node}/hosts",
        "node_hosts",
        "The hosts file of a node.",
    )
    .params(&[&[NODE]])
    .returns(Shape::Object {
        fields: &[&[
            Field::string("data"),
            Field::string("digest").optional().max_length(64),
        ]],
        open: true,
    })
    .check(Check::On("/", &[Privilege::SysAudit]))
    .on_node(),
];
