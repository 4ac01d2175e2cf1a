//! `POST /ostler/nodes/{node}/pools/{name}/replace`

use model::Error;
use node::tasks::ZpoolReplace;
use proto::wire::Answer;

use super::{Devices, Named};
use crate::ops::Op;

pub(super) async fn replace(op: Op) -> Result<Answer, Error> {
    let Named { name } = op.params()?;
    let Devices { device, new } = op.params()?;
    let mut task = ZpoolReplace::new(name.clone(), device, new);
    task.check(&op.context.node).await?;
    op.context.submit(&op, name, task).await
}
