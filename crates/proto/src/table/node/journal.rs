//! `/nodes/{node}/{journal,report,syslog}`

use model::Privilege;
use model::schema::{Field, Shape};

use crate::table::params::NODE;
use crate::{Check, Row};

const LOG: Check = Check::On("/nodes/{node}", &[Privilege::SysSyslog]);

/// A day, or a minute or second of it.
const TIME: &str = r"\d{4}-\d{2}-\d{2}( \d{2}:\d{2}(:\d{2})?)?";

pub(in crate::table) const ROWS: &[Row] = &[
    Row::get(
        "/nodes/{node}/journal",
        "node_journal",
        "The log of a node, with the cursors of its first and last entry.",
    )
    .params(&[&[
        NODE,
        Field::string("endcursor").optional(),
        Field::integer("lastentries").optional().min(0.0),
        Field::integer("since").optional().min(0.0),
        Field::string("startcursor").optional(),
        Field::integer("until").optional().min(0.0),
    ]])
    .returns(Shape::Array(&Shape::String))
    .check(LOG)
    .on_node(),
    Row::get(
        "/nodes/{node}/report",
        "node_report",
        "A report on a node and its configuration, as text, for support.",
    )
    .params(&[&[NODE]])
    .returns(Shape::String)
    .check(Check::On("/nodes/{node}", &[Privilege::SysAudit]))
    .on_node(),
    Row::get(
        "/nodes/{node}/syslog",
        "node_syslog",
        "The log of a node, in numbered lines.",
    )
    .params(&[&[
        NODE,
        Field::integer("limit").optional().min(0.0),
        Field::string("service").optional().max_length(128),
        Field::string("since").optional().pattern(TIME),
        Field::integer("start").optional().min(0.0),
        Field::string("until").optional().pattern(TIME),
    ]])
    .returns(Shape::Array(&Shape::Object {
        fields: &[&[Field::integer("n"), Field::string("t")]],
        open: false,
    }))
    .check(LOG)
    .on_node(),
];
