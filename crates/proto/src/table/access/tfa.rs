//! `/access/tfa`: second factors. Apps and recovery codes are built; keys are not yet.

use model::schema::{Field, Shape};

use super::{SELF_OR_AUDITOR, SELF_OR_MANAGER, USERID};
use crate::{Permission, Row};

const ID: Field = Field::string("id");
const TYPE: Field =
    Field::string("type").one_of(&["totp", "u2f", "webauthn", "recovery", "yubico"]);
const DESCRIPTION: Field = Field::string("description").optional().max_length(255);
/// The caller's own password. Every caller but root needs it to change a second factor.
const PASSWORD: Field = Field::string("password")
    .optional()
    .min_length(5)
    .max_length(64);

const ENTRY: Shape = Shape::Object {
    fields: &[&[
        Field::integer("created"),
        Field::string("description"),
        Field::boolean("enable").optional().default("1"),
        ID,
        TYPE,
    ]],
    open: true,
};

pub(in crate::table) const ROWS: &[Row] = &[
    Row::get(
        "/access/tfa",
        "tfa_list",
        "The second factors of the users that the caller may see.",
    )
    .returns(Shape::Array(&Shape::Object {
        fields: &[&[
            Field::array("entries", &ENTRY),
            Field::integer("tfa-locked-until").optional(),
            Field::boolean("totp-locked").optional(),
            Field::string("userid"),
        ]],
        open: true,
    }))
    .permission(Permission::User),
    Row::get(
        "/access/tfa/{userid}",
        "tfa_user",
        "A user's second factors.",
    )
    .params(&[&[USERID]])
    .returns(Shape::Array(&ENTRY))
    .check(SELF_OR_AUDITOR),
    Row::post("/access/tfa/{userid}", "tfa_create", "Add a second factor.")
        .params(&[&[
            USERID,
            TYPE.unbuilt_values(&["u2f", "webauthn"]),
            Field::string("challenge").optional().unbuilt(),
            DESCRIPTION,
            PASSWORD,
            Field::string("totp").optional(),
            Field::string("value").optional(),
        ]])
        .returns(Shape::Object {
            fields: &[&[
                Field::string("challenge").optional(),
                ID,
                Field::array("recovery", &Shape::String).optional(),
            ]],
            open: true,
        })
        .check(SELF_OR_MANAGER)
        .no_token(),
    Row::delete(
        "/access/tfa/{userid}/{id}",
        "tfa_delete",
        "Remove a second factor.",
    )
    .params(&[&[ID, USERID, PASSWORD]])
    .check(SELF_OR_MANAGER)
    .no_token(),
    Row::get("/access/tfa/{userid}/{id}", "tfa_get", "One second factor.")
        .params(&[&[ID, USERID]])
        .returns(ENTRY)
        .check(SELF_OR_AUDITOR),
    Row::put(
        "/access/tfa/{userid}/{id}",
        "tfa_update",
        "Describe, enable or disable a second factor.",
    )
    .params(&[&[
        ID,
        USERID,
        DESCRIPTION,
        Field::boolean("enable").optional(),
        PASSWORD,
    ]])
    .check(SELF_OR_MANAGER)
    .no_token(),
];
