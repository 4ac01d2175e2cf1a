//! `/ostler/deployment`: what new guests may be made of.

use model::Privilege;
use model::schema::{Field, Shape, format};

use crate::{Check, Permission, Row};

const DIGEST: Field = Field::string("digest").optional().max_length(40);

const POLICY: &[Field] = &[
    Field::string("mode")
        .optional()
        .one_of(&["all", "approved"])
        .default("all"),
    // Guests that may be cloned.
    Field::string("templates")
        .optional()
        .format(format::VMID_LIST)
        .max_length(8192),
    // Disk images, ISO images and archives of containers.
    Field::string("volumes").optional().max_length(65_536),
];

pub(super) const ROWS: &[Row] = &[
    Row::get(
        "/ostler/deployment",
        "ostler_deployment",
        "What new guests may be made of.",
    )
    .returns(Shape::Object {
        fields: &[POLICY, &[DIGEST]],
        open: false,
    })
    .permission(Permission::User),
    Row::put(
        "/ostler/deployment",
        "ostler_deployment_update",
        "Say what new guests may be made of.",
    )
    .params(&[
        POLICY,
        &[Field::string("delete").optional().max_length(200), DIGEST],
    ])
    .check(Check::On("/", &[Privilege::SysModify])),
];
