//! `/nodes/{node}/replication`

use model::schema::{Field, Shape, format};

use crate::table::params::NODE;
use crate::{Permission, Row};

const OPEN: Shape = Shape::Object {
    fields: &[],
    open: true,
};
/// A guest and a number.
const JOB_ID: &str = r#"[1-9][0-9]{2,8}-\d{1,9}"#;

pub(in crate::table) const ROWS: &[Row] = &[
    Row::get(
        "/nodes/{node}/replication",
        "node_replication_list",
        "The state of the replication jobs of a node.",
    )
    .params(&[&[
        NODE,
        Field::integer("guest")
            .optional()
            .range(100.0, 999_999_999.0)
            .format(format::VMID),
    ]])
    .returns(Shape::Array(&Shape::Object {
        fields: &[&[Field::string("id")]],
        open: true,
    }))
    .permission(Permission::User)
    .on_node()
    .unconfigured(),
    Row::get(
        "/nodes/{node}/replication/{id}",
        "node_replication_directory",
        "Index of a replication job.",
    )
    .params(&[&[
        Field::string("id")
            .pattern(JOB_ID)
            .format(format::unchecked("pve-replication-job-id")),
        NODE,
    ]])
    .returns(Shape::Array(&OPEN))
    .permission(Permission::User)
    .index(),
    Row::get(
        "/nodes/{node}/replication/{id}/log",
        "node_replication_log",
        "The log of a replication job's last run.",
    )
    .params(&[&[
        Field::string("id")
            .pattern(JOB_ID)
            .format(format::unchecked("pve-replication-job-id")),
        NODE,
        Field::integer("limit").optional().min(0.0),
        Field::integer("start").optional().min(0.0),
    ]])
    .returns(Shape::Array(&Shape::Object {
        fields: &[&[Field::integer("n"), Field::string("t")]],
        open: true,
    }))
    .permission(Permission::User)
    .on_node()
    .unconfigured(),
    Row::get(
        "/nodes/{node}/replication/{id}/status",
        "node_replication_status",
        "The state of a replication job.",
    )
    .params(&[&[
        Field::string("id")
            .pattern(JOB_ID)
            .format(format::unchecked("pve-replication-job-id")),
        NODE,
    ]])
    .returns(OPEN)
    .permission(Permission::User)
    .on_node()
    .unconfigured(),
];
