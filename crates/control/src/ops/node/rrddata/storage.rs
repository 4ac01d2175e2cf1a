//! `GET /nodes/{node}/storage/{storage}/rrddata`

use model::{Error, StorageId};
use proto::wire::Answer;
use serde::Deserialize;
use serde_json::json;

use crate::ops::Op;

#[derive(Deserialize)]
struct Storage {
    storage: StorageId,
}

pub(super) async fn storage(op: Op) -> Result<Answer, Error> {
    let Storage { storage } = op.params()?;
    op.records.storage(&storage).await?;
    Ok(Answer::new(json!([])))
}
