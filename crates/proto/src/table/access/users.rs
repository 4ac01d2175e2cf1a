//! `/access/users`

use model::Privilege;
use model::schema::{Field, Shape, format};

use super::{AUDITOR, SELF_OR_AUDITOR, USERID, tokens};
use crate::{Check, Permission, Row};

const SETTINGS: &[Field] = &[
    Field::string("comment").optional().max_length(2048),
    Field::string("email")
        .optional()
        .max_length(254)
        .format(format::EMAIL),
    Field::boolean("enable").optional().default("1"),
    Field::integer("expire").optional().min(0.0),
    Field::string("firstname").optional().max_length(1024),
    // Keys of an older kind of second factor. Clients send an empty value; the operation refuses
    // any other.
    Field::string("keys")
        .optional()
        .pattern("[0-9a-zA-Z!=]{0,4096}"),
    Field::string("lastname").optional().max_length(1024),
];

const GROUPS: Field = Field::string("groups")
    .optional()
    .format(format::GROUP_ID_LIST);

const MODIFY: &[Privilege] = &[Privilege::UserModify];

const TFA_TYPES: Shape = Shape::Object {
    fields: &[&[
        Field::string("realm")
            .optional()
            .one_of(&["oath", "yubico"]),
        Field::array("types", &Shape::String).optional(),
        Field::string("user").optional().one_of(&["oath", "u2f"]),
    ]],
    open: false,
};

pub(in crate::table) const ROWS: &[Row] = &[
    Row::get(
        "/access/users",
        "user_list",
        "The users that the caller manages or audits.",
    )
    .params(&[&[
        Field::boolean("enabled").optional(),
        Field::boolean("full").optional().default("0"),
    ]])
    .returns(Shape::Array(&Shape::Object {
        fields: &[
            SETTINGS,
            &[
                GROUPS,
                Field::string("realm-type").optional().format(format::REALM),
                Field::integer("tfa-locked-until").optional(),
                Field::array("tokens", &tokens::TOKEN).optional(),
                Field::boolean("totp-locked").optional(),
                USERID,
            ],
        ],
        open: true,
    }))
    .permission(Permission::User),
    Row::post("/access/users", "user_create", "Add a user.")
        .params(&[
            &[USERID, GROUPS],
            SETTINGS,
            &[Field::string("password")
                .optional()
                .min_length(8)
                .max_length(64)],
        ])
        .check(Check::All(&[
            Check::UserRealm(Privilege::RealmAllocateUser),
            Check::UserGroups {
                privileges: MODIFY,
                new_groups: true,
            },
        ])),
    Row::delete(
        "/access/users/{userid}",
        "user_delete",
        "Remove a user and its tokens.",
    )
    .params(&[&[USERID]])
    .check(Check::All(&[
        Check::UserRealm(Privilege::RealmAllocateUser),
        Check::UserGroups {
            privileges: MODIFY,
            new_groups: false,
        },
    ])),
    Row::get("/access/users/{userid}", "user_get", "A user.")
        .params(&[&[USERID]])
        .returns(Shape::Object {
            fields: &[
                SETTINGS,
                &[
                    Field::array("groups", &Shape::String).optional(),
                    Field::open_object("tokens").optional(),
                ],
            ],
            open: false,
        })
        .check(AUDITOR),
    Row::put("/access/users/{userid}", "user_update", "Change a user.")
        .params(&[
            &[
                USERID,
                GROUPS,
                Field::boolean("append").optional().requires("groups"),
            ],
            SETTINGS,
        ])
        .check(Check::UserGroups {
            privileges: MODIFY,
            new_groups: true,
        }),
    Row::get(
        "/access/users/{userid}/tfa",
        "user_tfa",
        "The kinds of second factor that a user has.",
    )
    .params(&[&[USERID, Field::boolean("multiple").optional().default("0")]])
    .returns(TFA_TYPES)
    .check(SELF_OR_AUDITOR),
    Row::put(
        "/access/users/{userid}/unlock-tfa",
        "user_unlock_tfa",
        "Unlock a user's second factors.",
    )
    .params(&[&[USERID]])
    .returns(Shape::Boolean)
    .check(Check::UserGroups {
        privileges: MODIFY,
        new_groups: false,
    }),
];
