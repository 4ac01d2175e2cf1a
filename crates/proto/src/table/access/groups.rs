//! `/access/groups`

use model::Privilege;
use model::schema::{Field, Shape, format};

use crate::{Check, Permission, Row};

const GROUPID: Field = Field::string("groupid").format(format::GROUP_ID);
const COMMENT: Field = Field::string("comment").optional();
const ALLOCATE: Check = Check::On("/access/groups", &[Privilege::GroupAllocate]);

pub(in crate::table) const ROWS: &[Row] = &[
    Row::get(
        "/access/groups",
        "group_list",
        "The groups that the caller manages or audits.",
    )
    .returns(Shape::Array(&Shape::Object {
        fields: &[&[
            COMMENT,
            GROUPID,
            Field::string("users")
                .optional()
                .format(format::USER_ID_LIST),
        ]],
        open: true,
    }))
    .permission(Permission::User),
    Row::post("/access/groups", "group_create", "Add a group.")
        .params(&[&[GROUPID, COMMENT]])
        .check(ALLOCATE),
    Row::delete(
        "/access/groups/{groupid}",
        "group_delete",
        "Remove a group.",
    )
    .params(&[&[GROUPID]])
    .check(ALLOCATE),
    Row::get(
        "/access/groups/{groupid}",
        "group_get",
        "A group and its members.",
    )
    .params(&[&[GROUPID]])
    .returns(Shape::Object {
        fields: &[&[COMMENT, Field::array("members", &Shape::String)]],
        open: false,
    })
    .check(Check::AnyOn(
        "/access/groups",
        &[Privilege::SysAudit, Privilege::GroupAllocate],
    )),
    Row::put(
        "/access/groups/{groupid}",
        "group_update",
        "Change a group.",
    )
    .params(&[&[GROUPID, COMMENT]])
    .check(ALLOCATE),
];
