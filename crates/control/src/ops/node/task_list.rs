//! `GET /nodes/{node}/tasks`

use model::schema::format::split_list;
use model::{Error, Privilege, UnixTime};
use proto::wire::Answer;
use serde::Deserialize;
use serde_json::Value;
use tasks::{TaskFilter, TaskState, TaskSummary};

use super::tasks::{DEFAULT_LIMIT, has, is_mine, parts};
use crate::ops::Op;

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

pub(super) async fn task_list(op: Op) -> Result<Answer, Error> {
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
    // Without rows the answer has no total.
    Ok(match total {
        0 => answer,
        total => answer.total(total as u64),
    })
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
