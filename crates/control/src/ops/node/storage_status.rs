//! `GET /nodes/{node}/storage/{storage}/status`

use model::{Error, StorageId};
use proto::wire::Answer;
use serde::Deserialize;

use super::storage::{no_such_storage, observed};
use crate::ops::Op;

#[derive(Deserialize)]
struct Named {
    storage: StorageId,
}

pub(super) async fn storage_status(op: Op) -> Result<Answer, Error> {
    let Named { storage } = op.params()?;
    let storages = op.records.storages().await?;
    let found = storages.into_iter().find(|config| config.id == storage);
    let config = found.ok_or_else(no_such_storage)?;
    Ok(Answer::new(observed(&op.context, config, false).await))
}
