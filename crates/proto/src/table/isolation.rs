//! `/ostler/isolation`: which guests do not reach each other.

use model::Privilege;
use model::schema::{Field, Shape, format};

use crate::{Check, Permission, Row};

const DIGEST: Field = Field::string("digest").optional().max_length(40);

const POLICY: &[Field] = &[
    // The bridges that this is about; all without it.
    Field::string("bridges").optional().max_length(4096),
    Field::string("pools").optional().max_length(8192),
    Field::string("tags")
        .optional()
        .format(format::TAG_LIST)
        .max_length(4096),
];

pub(super) const ROWS: &[Row] = &[
    Row::get(
        "/ostler/isolation",
        "ostler_isolation",
        "Which guests reach their bridge's uplink and not each other.",
    )
    .returns(Shape::Object {
        fields: &[POLICY, &[DIGEST]],
        open: false,
    })
    .permission(Permission::User),
    Row::put(
        "/ostler/isolation",
        "ostler_isolation_update",
        "Say which guests reach their bridge's uplink and not each other.",
    )
    .params(&[
        POLICY,
        &[Field::string("delete").optional().max_length(200), DIGEST],
    ])
    .check(Check::On("/", &[Privilege::SysModify])),
];
