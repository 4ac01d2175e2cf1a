//! `/access/permissions`

use model::schema::{Field, Shape};

use crate::{Permission, Row};

pub(in crate::table) const ROWS: &[Row] = &[Row::get(
    "/access/permissions",
    "permissions_get",
    "The privileges of the caller, or of another user or token, by path.",
)
.params(&[&[
    Field::string("path").optional(),
    Field::string("userid").optional().pattern(
        r"(?:^(?:[^\s:/]+)\@(?:[A-Za-z][A-Za-z0-9\.\-_]+)(?:!(?:[A-Za-z][A-Za-z0-9\.\-_]+))?$)",
    ),
]])
.returns(Shape::Object {
    fields: &[],
    open: true,
})
.permission(Permission::User)];
