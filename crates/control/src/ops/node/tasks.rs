//! `/nodes/{node}/tasks`

use model::schema::format::split_list;
use model::{Error, Privilege, UnixTime, Upid};
use proto::wire::Answer;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tasks::{TaskFilter, TaskState, TaskSummary};

use crate::ops::Op;

/// The last lines of a log are what people want when they name no number.
const DEFAULT_LIMIT: usize = 50;

#[derive(Deserialize)]
struct List {
    errors: Option<bool>,
    limit: Option<usize>,
    since: Option<UnixTime>,
    source: Option<String>,
    start: Option<usize>,
    statusfilter: Option<String>,
    typefilter: Option<String>,
    until: Option<UnixTime>,
    userfilter: Option<String>,
    vmid: Option<u32>,
}

pub(super) async fn list(op: Op) -> Result<Answer, Error> {
    let wanted: List = op.params()?;
    let source = wanted.source.as_deref().unwrap_or("archive");
    let filter = TaskFilter {
        running: source != "archive",
        ended: source != "active",
        id: wanted.vmid.map(|vmid| vmid.to_string()),
        user: wanted.userfilter,
        kind: wanted.typefilter,
        since: wanted.since,
        until: wanted.until,
        unlisted: false,
    };
    let sees_all = has(&op, Privilege::SysAudit).await?;
    let me = op.identity()?.label();
    let mut shown = Vec::new();
    for task in op.context.tasks.list(&filter) {
        let status = status_class(&task.state);
        let wanted_status = match &wanted.statusfilter {
            Some(list) => split_list(list).any(|wanted| wanted == status),
            None => wanted.errors != Some(true) || status == "error",
        };
        if wanted_status && (sees_all || is_mine(&task.upid, &me)) {
            shown.push(row(&task));
        }
    }
    let total = shown.len();
    let page: Vec<Value> = shown
        .into_iter()
        .skip(wanted.start.unwrap_or(0))
        .take(wanted.limit.unwrap_or(DEFAULT_LIMIT))
        .collect();
    let answer = Answer::new(page);
    // Where nothing is found nothing is counted.
    Ok(match total {
        0 => answer,
        total => answer.total(total as u64),
    })
}

#[derive(Deserialize)]
struct One {
    upid: String,
    limit: Option<usize>,
    start: Option<usize>,
}

pub(super) async fn status(op: Op) -> Result<Answer, Error> {
    let (_, task) = find(&op, Privilege::SysAudit).await?;
    let mut answer = parts(&task.upid);
    match task.state {
        TaskState::Running | TaskState::Stuck(_) => {
            answer.insert("status".into(), "running".into());
        }
        TaskState::Ended { status, .. } => {
            answer.insert("status".into(), "stopped".into());
            answer.insert("exitstatus".into(), status.into());
        }
    }
    Ok(Answer::new(answer).at(task.revision))
}

pub(super) async fn log(op: Op) -> Result<Answer, Error> {
    let (one, task) = find(&op, Privilege::SysAudit).await?;
    let mut lines = op.context.tasks.log(&task.upid).await?;
    if let TaskState::Stuck(reason) = &task.state {
        lines.push(format!("this task is stuck: {reason}"));
    }
    let total = lines.len() as u64;
    let start = one.start.unwrap_or(0);
    // Zero means: all of it.
    let limit = one.limit.unwrap_or(DEFAULT_LIMIT);
    let limit = if limit == 0 { usize::MAX } else { limit };
    let page: Vec<Value> = lines
        .into_iter()
        .enumerate()
        .skip(start)
        .take(limit)
        .map(|(at, line)| json!({"n": at + 1, "t": line}))
        .collect();
    Ok(Answer::new(page).total(total))
}

pub(super) async fn stop(op: Op) -> Result<Answer, Error> {
    let (_, task) = find(&op, Privilege::SysModify).await?;
    op.context.tasks.stop(&task.upid)?;
    Ok(Answer::null())
}

/// The task that is meant, if the caller may see it (or stop it, by another privilege): one's
/// own always.
async fn find(op: &Op, privilege: Privilege) -> Result<(One, TaskSummary), Error> {
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

async fn has(op: &Op, privilege: Privilege) -> Result<bool, Error> {
    let access = op.context.authority.refresh().await?;
    let view = access.view(op.identity()?, op.context.clock.wall());
    Ok(view.has(&format!("/nodes/{}", op.context.node.name), privilege))
}

/// A user's tasks are also those of the user's tokens; a token's are only its own.
pub(in crate::ops) fn is_mine(upid: &Upid, me: &str) -> bool {
    upid.user == me || upid.user.split('!').next() == Some(me)
}

fn status_class(state: &TaskState) -> &'static str {
    match state {
        TaskState::Running | TaskState::Stuck(_) => "unknown",
        TaskState::Ended { status, .. } if status == "OK" => "ok",
        TaskState::Ended { status, .. } if status.starts_with("WARNINGS: ") => "warning",
        TaskState::Ended { .. } => "error",
    }
}

fn row(task: &TaskSummary) -> Value {
    let mut row = parts(&task.upid);
    match &task.state {
        TaskState::Running | TaskState::Stuck(_) => {
            row.insert("status".into(), "RUNNING".into());
        }
        TaskState::Ended { at, status } => {
            row.insert("endtime".into(), (*at).into());
            row.insert("status".into(), status.as_str().into());
        }
    }
    row.into()
}

fn parts(upid: &Upid) -> Map<String, Value> {
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
