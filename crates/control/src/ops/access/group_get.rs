//! `GET /access/groups/{groupid}`

use model::Error;
use proto::wire::Answer;
use serde_json::json;

use super::Op;
use super::groups::{Params, members};

pub(super) async fn group_get(op: Op) -> Result<Answer, Error> {
    let Params { groupid, .. } = op.params()?;
    let access = op.context.authority.access();
    let missing = || Error::not_found(format!("group '{groupid}' does not exist"));
    let group = access.group(&groupid).ok_or_else(missing)?;
    let mut data = json!({"members": members(&access, &groupid)});
    if !group.comment.is_empty() {
        data["comment"] = group.comment.as_str().into();
    }
    Ok(Answer::new(data))
}
