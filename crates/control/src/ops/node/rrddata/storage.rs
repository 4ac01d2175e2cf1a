//! `GET /nodes/{node}/storage/{storage}/rrddata`

use history::Object;
use model::{Error, StorageId};
use proto::wire::Answer;
use serde::Deserialize;

use crate::ops::Op;

#[derive(Deserialize)]
struct Storage {
    storage: StorageId,
}

pub(super) async fn storage(op: Op) -> Result<Answer, Error> {
    let Storage { storage } = op.params()?;
    op.records.storage(&storage).await?;
    super::rows(&op, &Object::Storage(storage)).await
}
