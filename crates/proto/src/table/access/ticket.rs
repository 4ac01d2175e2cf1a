//! `/access/ticket`, `/access/vncticket`

use model::schema::{Field, Shape, format};

use crate::{Permission, Row};

pub(in crate::table) const ROWS: &[Row] = &[
    Row::get(
        "/access/ticket",
        "ticket_get",
        "Empty; login pages request it.",
    )
    .permission(Permission::World),
    Row::post(
        "/access/ticket",
        "ticket_create",
        "Log in, or renew a session.",
    )
    .params(&[&[
        Field::string("password"),
        Field::string("username").max_length(64),
        Field::boolean("new-format").optional().default("1"),
        Field::string("otp").optional(),
        Field::string("path")
            .optional()
            .max_length(64)
            .requires("privs"),
        Field::string("privs")
            .optional()
            .max_length(64)
            .format(format::PRIVILEGE_LIST)
            .requires("path"),
        Field::string("realm")
            .optional()
            .max_length(32)
            .format(format::REALM),
        Field::string("tfa-challenge").optional(),
    ]])
    .returns(Shape::Object {
        fields: &[&[
            Field::string("CSRFPreventionToken").optional(),
            Field::string("clustername").optional(),
            Field::string("ticket").optional(),
            Field::string("username"),
        ]],
        open: true,
    })
    .permission(Permission::World)
    .local()
    .no_token(),
    Row::post(
        "/access/vncticket",
        "vncticket_verify",
        "Verify the ticket of a console.",
    )
    .params(&[&[
        Field::string("authid").max_length(64),
        Field::string("path").max_length(64),
        Field::string("privs")
            .max_length(64)
            .format(format::PRIVILEGE_LIST),
        Field::string("vncticket"),
        Field::integer("port").optional(),
    ]])
    .permission(Permission::World)
    .local(),
];
