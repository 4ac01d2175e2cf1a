//! `POST /ostler/nodes/{node}/storage/{storage}/detach`

use model::Error;
use node::tasks::StorageDetach;
use proto::wire::Answer;

use super::Named;
use crate::ops::Op;

pub(super) async fn detach(op: Op) -> Result<Answer, Error> {
    let Named { storage } = op.params()?;
    let task = StorageDetach::check(&op.context.node, &storage).await?;
    op.context.submit(&op, storage, task).await
}
