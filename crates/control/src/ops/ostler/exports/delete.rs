//! `DELETE /ostler/nodes/{node}/exports/{storage}`

use model::{Error, StorageId};
use node::tasks::ExportDelete;
use proto::wire::Answer;
use serde::Deserialize;

use crate::ops::Op;

#[derive(Deserialize)]
struct Delete {
    storage: StorageId,
}

pub(super) async fn delete(op: Op) -> Result<Answer, Error> {
    let Delete { storage } = op.params()?;
    let task = ExportDelete::check(&op.context.node, &storage).await?;
    op.context.submit(&op, storage, task).await
}
