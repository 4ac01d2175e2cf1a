//! Code that the operations on groups share.

use auth::Access;
use model::GroupId;
use serde::Deserialize;

pub(super) fn members(access: &Access, group: &GroupId) -> Vec<String> {
    access.members_of(group).map(ToString::to_string).collect()
}

#[derive(Deserialize)]
pub(super) struct Params {
    pub(super) groupid: GroupId,
    pub(super) comment: Option<String>,
}
