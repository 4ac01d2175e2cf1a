//! `GET /nodes/{node}/tasks/{upid}/status`

use model::{Error, Privilege};
use proto::wire::Answer;
use tasks::TaskState;

use super::tasks::{find, parts};
use crate::ops::Op;

pub(super) async fn task_status(op: Op) -> Result<Answer, Error> {
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
