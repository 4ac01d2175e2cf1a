//! `POST /ostler/nodes/{node}/pools/{name}/detach`

use model::Error;
use node::tasks::ZpoolDetach;
use proto::wire::Answer;
use serde::Deserialize;

use super::Named;
use crate::ops::Op;

#[derive(Deserialize)]
struct Detach {
    device: String,
}

pub(super) async fn detach(op: Op) -> Result<Answer, Error> {
    let Named { name } = op.params()?;
    let Detach { device } = op.params()?;
    let mut task = ZpoolDetach::new(name.clone(), device);
    task.check(&op.context.node).await?;
    op.context.submit(&op, name, task).await
}
