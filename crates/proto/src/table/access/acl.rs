//! `/access/acl`

use model::schema::{Field, Shape, format};

use crate::{Check, Permission, Row};

const PROPAGATE: Field = Field::boolean("propagate").optional().default("1");

pub(in crate::table) const ROWS: &[Row] = &[
    Row::get(
        "/access/acl",
        "acl_list",
        "The access control list, as far as the caller manages it.",
    )
    .returns(Shape::Array(&Shape::Object {
        fields: &[&[
            Field::string("path"),
            PROPAGATE,
            Field::string("roleid"),
            Field::string("type").one_of(&["user", "group", "token"]),
            Field::string("ugid"),
        ]],
        open: false,
    }))
    .permission(Permission::User),
    Row::put(
        "/access/acl",
        "acl_update",
        "Grant or revoke roles on a path.",
    )
    .params(&[&[
        Field::string("path"),
        Field::string("roles").format(format::ROLE_ID_LIST),
        Field::boolean("delete").optional(),
        Field::string("groups")
            .optional()
            .format(format::GROUP_ID_LIST),
        PROPAGATE,
        Field::string("tokens")
            .optional()
            .format(format::TOKEN_ID_LIST),
        Field::string("users")
            .optional()
            .format(format::USER_ID_LIST),
    ]])
    .check(Check::ModifyAcl),
];
