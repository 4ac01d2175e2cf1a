//! `GET /nodes/{node}/tasks/{upid}/log`

use model::{Error, Privilege};
use proto::wire::Answer;
use serde_json::{Value, json};
use tasks::TaskState;

use super::tasks::{DEFAULT_LIMIT, find};
use crate::ops::Op;

pub(super) async fn task_log(op: Op) -> Result<Answer, Error> {
    let (one, task) = find(&op, Privilege::SysAudit).await?;
    let mut lines = op.context.tasks.log(&task.upid).await?;
    if let TaskState::Stuck(reason) = &task.state {
        lines.push(format!("this task is stuck: {reason}"));
    }
    let total = lines.len() as u64;
    let start = one.start.unwrap_or(0);
    // Zero means no limit.
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
