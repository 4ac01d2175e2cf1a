//! Code that the operations on tasks share.

use model::{Error, Privilege, Upid};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tasks::TaskSummary;

use crate::ops::Op;

/// How many lines of a log are returned by default.
pub(super) const DEFAULT_LIMIT: usize = 50;

#[derive(Deserialize)]
pub(super) struct One {
    pub(super) upid: String,
    pub(super) limit: Option<usize>,
    pub(super) start: Option<usize>,
}

/// Finds a task that the caller may see (or stop, by another privilege). A caller's own tasks need
/// no privilege.
pub(super) async fn find(op: &Op, privilege: Privilege) -> Result<(One, TaskSummary), Error> {
    let one: One = op.params()?;
    let upid: Upid = one
        .upid
        .parse()
        .map_err(|error: model::UpidError| Error::invalid("upid", error.to_string()))?;
    if !is_mine(&upid, &op.identity()?.label()) && !has(op, privilege).await? {
        let path = format!("/nodes/{}", op.context.node.name);
        return Err(auth::Denied::one(&path, privilege).into());
    }
    let task = op.context.tasks.get(&upid)?;
    Ok((one, task))
}

pub(super) async fn has(op: &Op, privilege: Privilege) -> Result<bool, Error> {
    let access = op.context.authority.refresh(store::Read::Local).await?;
    let view = access.view(op.identity()?, op.context.clock.wall());
    Ok(view.has(&format!("/nodes/{}", op.context.node.name), privilege))
}

/// A user's tasks include those of the user's tokens; a token's are only its own.
pub(in crate::ops) fn is_mine(upid: &Upid, me: &str) -> bool {
    upid.user == me || upid.user.split('!').next() == Some(me)
}

pub(super) fn parts(upid: &Upid) -> Map<String, Value> {
    let (user, token) = match upid.user.split_once('!') {
        Some((user, token)) => (user, Some(token)),
        None => (upid.user.as_str(), None),
    };
    let Value::Object(mut parts) = json!({
        "upid": upid.to_string(),
        "node": upid.node.as_str(),
        "pid": upid.pid,
        "pstart": upid.pstart,
        "starttime": upid.starttime,
        "type": upid.kind,
        "id": upid.id,
        "user": user,
    }) else {
        return Map::new();
    };
    if let Some(token) = token {
        parts.insert("tokenid".into(), token.into());
    }
    parts
}
