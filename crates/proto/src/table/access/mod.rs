//! `/access`

pub(super) mod acl;
pub(super) mod domains;
pub(super) mod groups;
pub(super) mod password;
pub(super) mod permissions;
pub(super) mod roles;
pub(super) mod tfa;
pub(super) mod ticket;
pub(super) mod tokens;
pub(super) mod users;

use model::Privilege;
use model::schema::{Field, Shape, format};

use crate::{Check, Permission, Row};

pub(super) const ROWS: &[Row] = &[Row::get(
    "/access",
    "access_index",
    "Index of users, groups, roles, rights and realms.",
)
.permission(Permission::User)
.returns(Shape::Array(&Shape::Object {
    fields: &[&[Field::string("subdir")]],
    open: true,
}))];

const USERID: Field = Field::string("userid")
    .max_length(64)
    .format(format::USER_ID);

/// The user itself, or a manager of one of its groups.
const SELF_OR_MANAGER: Check = Check::Any(&[
    Check::SelfUser,
    Check::UserGroups {
        privileges: &[Privilege::UserModify],
        new_groups: false,
    },
]);

/// The user itself, or a manager or auditor of one of its groups.
const SELF_OR_AUDITOR: Check = Check::Any(&[Check::SelfUser, AUDITOR]);

const AUDITOR: Check = Check::UserGroups {
    privileges: &[Privilege::UserModify, Privilege::SysAudit],
    new_groups: false,
};
