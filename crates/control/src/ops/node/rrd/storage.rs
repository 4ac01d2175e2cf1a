//! `GET /nodes/{node}/storage/{storage}/rrd`

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
    let folder = format!(
        "/var/lib/rrdcached/db/pve-storage-9.0/{}",
        op.context.node.name
    );
    super::picture(
        &op,
        &Object::Storage(storage.clone()),
        &format!("{folder}/{storage}"),
    )
    .await
}
