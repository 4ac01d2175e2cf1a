//! `/cluster/jobs`

use crate::{Check, Permission, Row};
use model::Privilege;
use model::schema::{Field, Shape, format};

const OPEN: Shape = Shape::Object {
    fields: &[],
    open: true,
};

pub(in crate::table) const ROWS: &[Row] = &[
    Row::get("/cluster/jobs", "jobs_directory", "Index of the jobs.")
        .returns(Shape::Array(&Shape::Object {
            fields: &[&[Field::string("subdir")]],
            open: true,
        }))
        .permission(Permission::User)
        .index(),
    Row::get(
        "/cluster/jobs/realm-sync",
        "realm_sync_list",
        "The jobs that import users from directories.",
    )
    .returns(Shape::Array(&Shape::Object {
        fields: &[&[
            Field::string("comment").optional(),
            Field::boolean("enabled"),
            Field::string("id"),
            Field::integer("last-run").optional(),
            Field::integer("next-run").optional(),
            Field::string("realm").max_length(32).format(format::REALM),
            Field::string("remove-vanished")
                .optional()
                .pattern(r#"(?:(?:(?:acl|properties|entry);)*(?:acl|properties|entry))|none"#)
                .default("none"),
            Field::string("schedule"),
            Field::string("scope")
                .optional()
                .one_of(&["users", "groups", "both"]),
        ]],
        open: true,
    }))
    .check(Check::On("/", &[Privilege::SysAudit]))
    .unconfigured(),
    Row::get(
        "/cluster/jobs/realm-sync/{id}",
        "realm_sync_get",
        "A job that imports users from a directory.",
    )
    .params(&[&[Field::string("id").format(format::CONFIG_ID)]])
    .returns(OPEN)
    .check(Check::On("/", &[Privilege::SysAudit]))
    .unconfigured(),
    Row::get(
        "/cluster/jobs/schedule-analyze",
        "schedule_analyze",
        "The next runs of a schedule.",
    )
    .params(&[&[
        Field::string("schedule")
            .max_length(128)
            .format(format::CALENDAR_EVENT),
        Field::integer("iterations")
            .optional()
            .range(1.0, 100.0)
            .default("10"),
        Field::integer("starttime").optional(),
    ]])
    .returns(Shape::Array(&Shape::Object {
        fields: &[&[Field::integer("timestamp"), Field::string("utc")]],
        open: true,
    }))
    .permission(Permission::User),
];
