//! `GET /nodes/{node}/storage/{storage}/rrddata`

use model::{Error, NodeName, StorageId};
use proto::wire::Answer;
use serde::Deserialize;
use serde_json::json;

use crate::ops::Op;

#[derive(Deserialize)]
struct Storage {
    node: NodeName,
    storage: StorageId,
}

pub(super) async fn storage(op: Op) -> Result<Answer, Error> {
    let Storage { node, storage } = op.params()?;
    op.context.check_node(&node)?;
    op.context.world.records.storage(&storage).await?;
    Ok(Answer::new(json!([])))
}
