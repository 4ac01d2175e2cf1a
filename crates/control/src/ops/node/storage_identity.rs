//! `GET /nodes/{node}/storage/{storage}/identity`

use model::{Error, StorageId};
use proto::wire::Answer;
use serde::Deserialize;

use crate::ops::Op;

#[derive(Deserialize)]
struct Asked {
    storage: StorageId,
}

/// Only servers of backups tell who they are; no type of this version is one.
pub(super) async fn storage_identity(op: Op) -> Result<Answer, Error> {
    let Asked { storage } = op.params()?;
    let storage = op.context.node.storage(&storage).await?;
    let kind = storage.config().spec.kind().as_str();
    Err(Error::conflict(format!(
        "storages of type '{kind}' have no identity"
    )))
}
