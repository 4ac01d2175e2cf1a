//! `/cluster/metrics`

use model::Privilege;
use model::schema::{Field, Shape, format};

use super::NAMES;
use crate::{Check, Permission, Row};

pub(in crate::table) const ROWS: &[Row] = &[
    Row::get(
        "/cluster/metrics",
        "cluster_metrics_directory",
        "Index of the metrics.",
    )
    .returns(NAMES)
    .permission(Permission::User)
    .index(),
    Row::get(
        "/cluster/metrics/export",
        "cluster_metrics_export",
        "What is in use now, or in the last half hour, for programs that collect metrics.",
    )
    .params(&[&[
        Field::boolean("history").optional().default("0"),
        Field::boolean("local-only").optional().default("0"),
        Field::string("node-list")
            .optional()
            .format(format::NODE_LIST),
        Field::integer("start-time").optional().default("0"),
    ]])
    .returns(Shape::Object {
        fields: &[&[Field::array(
            "data",
            &Shape::Object {
                fields: &[&[
                    Field::string("id"),
                    Field::string("metric"),
                    Field::integer("timestamp"),
                    Field::string("type").one_of(&["gauge", "counter", "derive"]),
                    Field::number("value"),
                ]],
                open: false,
            },
        )]],
        open: false,
    })
    .check(Check::On("/", &[Privilege::SysAudit]))
    .on_all_nodes(),
];
