//! `/cluster/replication`

use model::schema::{Field, Shape, format};

use crate::{Permission, Row};

/// A guest and a number.
const JOB_ID: &str = r#"[1-9][0-9]{2,8}-\d{1,9}"#;

pub(in crate::table) const ROWS: &[Row] = &[
    Row::get(
        "/cluster/replication",
        "replication_list",
        "The replication jobs.",
    )
    .returns(Shape::Array(&Shape::Object {
        fields: &[&[
            Field::string("comment").optional().max_length(4096),
            Field::boolean("disable").optional(),
            Field::integer("guest"),
            Field::string("id")
                .pattern(JOB_ID)
                .format(format::unchecked("pve-replication-job-id")),
            Field::integer("jobnum"),
            Field::number("rate").optional().min(1.0),
            Field::string("remove_job")
                .optional()
                .one_of(&["local", "full"]),
            Field::string("schedule")
                .optional()
                .max_length(128)
                .format(format::CALENDAR_EVENT)
                .default("*/15"),
            Field::string("source").optional().format(format::NODE),
            Field::string("target").format(format::NODE),
            Field::string("type").one_of(&["local"]),
        ]],
        open: true,
    }))
    .permission(Permission::User)
    .unconfigured(),
    Row::get(
        "/cluster/replication/{id}",
        "replication_get",
        "A replication job.",
    )
    .params(&[&[Field::string("id")
        .pattern(JOB_ID)
        .format(format::unchecked("pve-replication-job-id"))]])
    .returns(Shape::Object {
        fields: &[&[
            Field::string("comment").optional().max_length(4096),
            Field::string("digest").optional().max_length(64),
            Field::boolean("disable").optional(),
            Field::integer("guest"),
            Field::string("id")
                .pattern(JOB_ID)
                .format(format::unchecked("pve-replication-job-id")),
            Field::integer("jobnum"),
            Field::number("rate").optional().min(1.0),
            Field::string("remove_job")
                .optional()
                .one_of(&["local", "full"]),
            Field::string("schedule")
                .optional()
                .max_length(128)
                .format(format::CALENDAR_EVENT)
                .default("*/15"),
            Field::string("source").optional().format(format::NODE),
            Field::string("target").format(format::NODE),
            Field::string("type").one_of(&["local"]),
        ]],
        open: true,
    })
    .permission(Permission::User)
    .unconfigured(),
];
