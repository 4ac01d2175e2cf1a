//! `GET /cluster/tasks`

use model::{Error, Privilege};
use proto::wire::Answer;
use serde_json::{Map, Value};
use tasks::{TaskFilter, TaskState, TaskSummary};

use super::status::is_of;
use crate::ops::Op;

/// How many tasks of a node are shown.
const TASKS: usize = 25;

pub(super) async fn tasks(op: Op) -> Result<Answer, Error> {
    let sees_all = op
        .has(
            &format!("/nodes/{}", op.context.node.name),
            Privilege::SysAudit,
        )
        .await?;
    let me = op.identity()?.label();
    let others = op.others.iter().cloned();
    let filter = TaskFilter {
        running: true,
        ended: true,
        ..TaskFilter::default()
    };
    let tasks = op.context.tasks.list(&filter);
    let mine = tasks
        .iter()
        .filter(|task| sees_all || is_of(&task.upid.user, &me));
    let mut rows: Vec<Value> = mine.take(TASKS).map(row).chain(others).collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row["starttime"].as_i64()));
    Ok(Answer::new(rows))
}

fn row(task: &TaskSummary) -> Value {
    let upid = &task.upid;
    let (user, token) = match upid.user.split_once('!') {
        Some((user, token)) => (user, Some(token)),
        None => (upid.user.as_str(), None),
    };
    let mut row = Map::new();
    let mut put = |name: &str, value: Value| row.insert(name.to_owned(), value);
    put("upid", upid.to_string().into());
    put("node", upid.node.as_str().into());
    put("starttime", upid.starttime.into());
    put("type", upid.kind.as_str().into());
    put("id", upid.id.as_str().into());
    put("user", user.into());
    if let Some(token) = token {
        put("tokenid", token.into());
    }
    match &task.state {
        TaskState::Running | TaskState::Stuck(_) => {
            put("pid", upid.pid.into());
            put("saved", "0".into())
        }
        TaskState::Ended { at, status } => {
            put("endtime", (*at).into());
            put("status", status.as_str().into());
            put("saved", "1".into())
        }
    };
    row.into()
}
