//! `GET /access/groups`

use model::{Error, Privilege};
use proto::wire::Answer;
use serde_json::{Value, json};

use super::Op;
use super::groups::members;

pub(super) async fn group_list(op: Op) -> Result<Answer, Error> {
    const ANY: &[Privilege] = &[
        Privilege::UserModify,
        Privilege::SysAudit,
        Privilege::GroupAllocate,
    ];
    let authority = &op.context.authority;
    let access = authority.access();
    let view = access.view(op.identity()?, authority.now());
    let seen = access
        .groups()
        .filter(|(id, _)| view.has_any(&format!("/access/groups/{id}"), ANY));
    let rows = seen.map(|(id, group)| {
        let mut row = json!({"groupid": id.as_str(), "users": members(&access, id).join(",")});
        if !group.comment.is_empty() {
            row["comment"] = group.comment.as_str().into();
        }
        row
    });
    Ok(Answer::new(rows.collect::<Vec<Value>>()))
}
