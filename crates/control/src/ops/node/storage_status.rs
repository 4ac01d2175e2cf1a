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
    let mut storages = op.records.storages().await?.into_iter();
    let found = storages.find(|entry| *entry.config.id() == storage);
    let entry = found.ok_or_else(no_such_storage)?;
    Ok(Answer::new(observed(&op.context, &entry, false).await))
}
