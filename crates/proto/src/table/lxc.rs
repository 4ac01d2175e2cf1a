//! `/nodes/{node}/lxc`: the containers of a node.

use model::schema::{Field, Shape};

use super::params::{NODE, VMID};
use crate::{Permission, Row};

/// The observed fields of a container.
const OBSERVED: &[Field] = &[
    Field::number("cpu").optional(),
    Field::number("cpus").optional(),
    Field::integer("disk").optional().min(0.0),
    Field::integer("diskread").optional(),
    Field::integer("diskwrite").optional(),
    Field::string("lock").optional(),
    Field::integer("maxdisk").optional(),
    Field::integer("maxmem").optional(),
    Field::integer("maxswap").optional(),
    Field::integer("mem").optional(),
    Field::string("name").optional(),
    Field::integer("netin").optional(),
    Field::integer("netout").optional(),
    Field::number("pressurecpusome").optional(),
    Field::number("pressureiofull").optional(),
    Field::number("pressureiosome").optional(),
    Field::number("pressurememoryfull").optional(),
    Field::number("pressurememorysome").optional(),
    Field::string("status").one_of(&["stopped", "running"]),
    Field::string("tags").optional(),
    Field::boolean("template").optional().default("0"),
    Field::integer("uptime").optional(),
    VMID,
];

pub(super) const ROWS: &[Row] =
    &[
        Row::get("/nodes/{node}/lxc", "lxc_list", "The containers of a node.")
            .params(&[&[NODE]])
            .returns(Shape::Array(&Shape::Object {
                fields: &[OBSERVED],
                open: true,
            }))
            .permission(Permission::User)
            .on_node()
            .index(),
    ];
