//! `POST /ostler/nodes/{node}/storage/{storage}/attach`

use model::Error;
use node::tasks::StorageAttach;
use proto::wire::Answer;

use super::Named;
use crate::ops::Op;

pub(super) async fn attach(op: Op) -> Result<Answer, Error> {
    let Named { storage } = op.params()?;
    let task = StorageAttach::check(&op.context.node, &storage).await?;
    op.context.submit(&op, storage, task).await
}
