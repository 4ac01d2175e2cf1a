//! `/nodes/{node}/disks`

use model::Privilege;
use model::schema::{Field, Shape};

use crate::table::params::NODE;
use crate::{Check, Permission, Row};

const OPEN: Shape = Shape::Object {
    fields: &[],
    open: true,
};

pub(in crate::table) const ROWS: &[Row] = &[
    Row::get(
        "/nodes/{node}/disks",
        "disks_directory",
        "Index of the disks.",
    )
    .params(&[&[NODE]])
    .returns(Shape::Array(&OPEN))
    .permission(Permission::User)
    .on_node()
    .index(),
    Row::get(
        "/nodes/{node}/disks/list",
        "disk_list",
        "The disks of a node, and their use.",
    )
    .params(&[&[
        NODE,
        Field::boolean("include-partitions").optional().default("0"),
        Field::boolean("skipsmart").optional().default("0"),
        Field::string("type")
            .optional()
            .one_of(&["unused", "journal_disks"]),
    ]])
    .returns(Shape::Array(&Shape::Object {
        fields: &[&[
            Field::string("devpath"),
            Field::boolean("gpt"),
            Field::string("health").optional(),
            Field::string("model").optional(),
            Field::boolean("mounted"),
            Field::integer("osdid"),
            Field::array("osdid-list", &Shape::Integer),
            Field::string("parent").optional(),
            Field::string("serial").optional(),
            Field::integer("size"),
            Field::string("used").optional(),
            Field::string("vendor").optional(),
            Field::string("wwn").optional(),
        ]],
        open: true,
    }))
    .check(Check::Any(&[
        Check::On("/", &[Privilege::SysAudit]),
        Check::On("/nodes/{node}", &[Privilege::SysAudit]),
    ]))
    .on_node(),
];
