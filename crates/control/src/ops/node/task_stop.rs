//! `DELETE /nodes/{node}/tasks/{upid}`

use model::{Error, Privilege};
use proto::wire::Answer;

use super::tasks::find;
use crate::ops::Op;

pub(super) async fn task_stop(op: Op) -> Result<Answer, Error> {
    let (_, task) = find(&op, Privilege::SysModify).await?;
    op.context.tasks.stop(&task.upid)?;
    Ok(Answer::null())
}
