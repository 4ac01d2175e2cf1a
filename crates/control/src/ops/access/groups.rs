//! Groups of users.

use auth::{Access, edit};
use model::{Error, GroupId, Privilege};
use proto::wire::Answer;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Op;

fn members(access: &Access, group: &GroupId) -> Vec<String> {
    access.members_of(group).map(ToString::to_string).collect()
}

pub(super) async fn list(op: Op) -> Result<Answer, Error> {
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

#[derive(Deserialize)]
struct Params {
    groupid: GroupId,
    comment: Option<String>,
}

pub(super) async fn create(op: Op) -> Result<Answer, Error> {
    let Params { groupid, comment } = op.params()?;
    let comment = comment.unwrap_or_default();
    let done = op
        .context
        .authority
        .change(|access| edit::groups::create(access, &groupid, &comment))
        .await;
    let revision = done.map_err(|error| error.during("create group failed"))?;
    Ok(Answer::null().at(revision.0))
}

pub(super) async fn update(op: Op) -> Result<Answer, Error> {
    let Params { groupid, comment } = op.params()?;
    let comment = comment.as_deref();
    let done = op
        .context
        .authority
        .change(|access| edit::groups::update(access, &groupid, comment))
        .await;
    let revision = done.map_err(|error| error.during("update group failed"))?;
    Ok(Answer::null().at(revision.0))
}

pub(super) async fn delete(op: Op) -> Result<Answer, Error> {
    let Params { groupid, .. } = op.params()?;
    let done = op
        .context
        .authority
        .change(|access| edit::groups::delete(access, &groupid))
        .await;
    let revision = done.map_err(|error| error.during("delete group failed"))?;
    Ok(Answer::null().at(revision.0))
}

pub(super) async fn get(op: Op) -> Result<Answer, Error> {
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
