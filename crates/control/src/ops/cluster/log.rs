//! `/cluster/log`: recent events of all agents, and their tasks.

use model::{Error, Privilege, UnixTime};
use node::{Event, Priority};
use proto::wire::Answer;
use serde::Deserialize;
use serde_json::{Value, json};
use tasks::{TaskFilter, TaskState, TaskSummary};

use super::status::is_of;
use crate::Context;
use crate::ops::Op;

/// How many lines are shown by default.
const DEFAULT_MAX: usize = 50;

#[derive(Deserialize)]
struct Log {
    max: Option<usize>,
}

/// One line of the log.
pub(in crate::ops) struct Line {
    pub(in crate::ops) time: UnixTime,
    pub(in crate::ops) priority: Priority,
    pub(in crate::ops) user: String,
    pub(in crate::ops) tag: &'static str,
    /// Unique among the lines.
    pub(in crate::ops) uid: String,
    pub(in crate::ops) message: String,
}

pub(super) async fn log(op: Op) -> Result<Answer, Error> {
    let Log { max } = op.params()?;
    let max = max.unwrap_or(DEFAULT_MAX);
    let sees_all = op.has("/", Privilege::SysSyslog).await?;
    let me = op.identity()?.label();
    let mut lines = lines(&op.context, max);
    lines.retain(|line| sees_all || is_of(&line.user, &me));
    // Events come first, newest first, and keep their order within a second.
    lines.sort_by_key(|line| std::cmp::Reverse(line.time));
    let node = op.context.node.name.as_str();
    let rows = lines.into_iter().take(max).map(|line| row(line, node));
    let mut rows: Vec<Value> = rows.chain(op.others).collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row["time"].as_i64()));
    rows.truncate(max);
    Ok(Answer::new(rows))
}

/// All events of this agent and its latest tasks, each kind newest first.
pub(in crate::ops) fn lines(context: &Context, tasks_max: usize) -> Vec<Line> {
    let filter = TaskFilter {
        running: true,
        ended: true,
        ..TaskFilter::default()
    };
    let events = context.node.events.latest().into_iter().map(of_event);
    let tasks = context.tasks.list(&filter);
    let tasks = tasks.iter().take(tasks_max).flat_map(of_task);
    events.chain(tasks).collect()
}

fn of_event(event: Event) -> Line {
    Line {
        time: event.time,
        priority: event.priority,
        user: event.user,
        tag: event.tag,
        uid: event.number.to_string(),
        message: event.message,
    }
}

/// The start of a task, and its end if it has ended.
fn of_task(task: &TaskSummary) -> Vec<Line> {
    let upid = &task.upid;
    let line = |time: UnixTime, priority: Priority, part: &str, message: String| Line {
        time,
        priority,
        user: upid.user.clone(),
        tag: "pvedaemon",
        uid: format!("{:X}:{:X}:{part}", upid.starttime, upid.pstart),
        message,
    };
    let mut lines = Vec::new();
    if let TaskState::Ended { at, status } = &task.state {
        let priority = match task.is_ok() {
            true => Priority::Info,
            false => Priority::Warning,
        };
        lines.push(line(
            *at,
            priority,
            "end",
            format!("end task {upid} {status}"),
        ));
    }
    lines.push(line(
        upid.starttime,
        Priority::Info,
        "start",
        format!("starting task {upid}"),
    ));
    lines
}

fn row(line: Line, node: &str) -> Value {
    json!({
        "time": line.time,
        "pri": line.priority as u8,
        "user": line.user,
        "tag": line.tag,
        "uid": line.uid,
        "id": format!("{}:{node}", line.uid),
        "node": node,
        "pid": std::process::id(),
        "msg": line.message,
    })
}
