//! `POST /ostler/nodes/{node}/pools/{name}/clear`

use model::Error;
use node::tasks::ZpoolClear;
use proto::wire::Answer;

use super::Named;
use crate::ops::Op;

pub(super) async fn clear(op: Op) -> Result<Answer, Error> {
    let Named { name } = op.params()?;
    let mut task = ZpoolClear::new(name.clone());
    task.check(&op.context.node).await?;
    op.context.submit(&op, name, task).await
}
