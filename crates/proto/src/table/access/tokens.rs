//! `/access/users/{userid}/token`

use model::schema::{Field, Shape, format};

use super::{SELF_OR_MANAGER, USERID};
use crate::Row;

const TOKENID: Field = Field::string("tokenid").pattern(r"(?:[A-Za-z][A-Za-z0-9\.\-_]+)");

const EXPIRE: Field = Field::integer("expire")
    .optional()
    .min(0.0)
    .default("same as user");

const SHOWN_ONCE: &[Field] = &[Field::string("comment").optional(), EXPIRE];

const SETTINGS: &[Field] = &[
    Field::string("comment").optional(),
    EXPIRE,
    Field::boolean("privsep").optional().default("1"),
];

/// A token as lists show it.
pub(super) const TOKEN: Shape = Shape::Object {
    fields: &[SETTINGS, &[TOKENID]],
    open: true,
};

pub(in crate::table) const ROWS: &[Row] = &[
    Row::get(
        "/access/users/{userid}/token",
        "token_list",
        "A user's API tokens.",
    )
    .params(&[&[USERID]])
    .returns(Shape::Array(&TOKEN))
    .check(SELF_OR_MANAGER),
    Row::delete(
        "/access/users/{userid}/token/{tokenid}",
        "token_delete",
        "Remove an API token.",
    )
    .params(&[&[TOKENID, USERID]])
    .check(SELF_OR_MANAGER),
    Row::get(
        "/access/users/{userid}/token/{tokenid}",
        "token_get",
        "An API token.",
    )
    .params(&[&[TOKENID, USERID]])
    .returns(Shape::Object {
        fields: &[SETTINGS],
        open: true,
    })
    .check(SELF_OR_MANAGER),
    Row::post(
        "/access/users/{userid}/token/{tokenid}",
        "token_create",
        "Create an API token.",
    )
    .params(&[&[TOKENID, USERID], SETTINGS])
    .returns(Shape::Object {
        fields: &[&[
            Field::string("full-tokenid"),
            // Only here `privsep` is a text.
            Field::object("info", &[SHOWN_ONCE, &[Field::any("privsep").optional()]]),
            Field::string("value"),
        ]],
        open: false,
    })
    .check(SELF_OR_MANAGER),
    Row::put(
        "/access/users/{userid}/token/{tokenid}",
        "token_update",
        "Change an API token.",
    )
    .params(&[
        &[
            TOKENID,
            USERID,
            Field::string("delete")
                .optional()
                .format(format::CONFIG_ID_LIST),
            Field::boolean("regenerate").optional().default("0"),
        ],
        SETTINGS,
    ])
    .returns(Shape::Object {
        fields: &[
            SETTINGS,
            &[
                Field::string("full-tokenid").optional(),
                Field::string("value").optional(),
            ],
        ],
        open: true,
    })
    .check(SELF_OR_MANAGER),
];
