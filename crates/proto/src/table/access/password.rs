//! `/access/password`

use model::Privilege;
use model::schema::Field;

use super::USERID;
use crate::{Check, Row};

pub(in crate::table) const ROWS: &[Row] = &[Row::put(
    "/access/password",
    "password_update",
    "Change a user's password.",
)
.params(&[&[
    Field::string("password").min_length(8).max_length(64),
    USERID,
    Field::string("confirmation-password")
        .optional()
        .min_length(5)
        .max_length(64),
]])
.check(Check::Any(&[
    Check::SelfUser,
    Check::All(&[
        Check::UserRealm(Privilege::RealmAllocateUser),
        Check::UserGroups {
            privileges: &[Privilege::UserModify],
            new_groups: false,
        },
    ]),
]))
.no_token()];
