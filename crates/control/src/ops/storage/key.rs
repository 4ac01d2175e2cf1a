//! `GET /ostler/storage/{storage}/key`

use model::Error;
use node::{Priority, storage_encryption_key};
use proto::wire::Answer;
use serde_json::json;
use store::Read;

use super::Named;
use crate::ops::Op;

/// With the key a user can read the disks elsewhere: the log of the cluster says who was given it.
pub(super) async fn key(op: Op) -> Result<Answer, Error> {
    let Named { storage } = op.params()?;
    let at = storage_encryption_key(&storage);
    let (entry, _) = op.context.store.get(&at, Read::Local).await?;
    let none = || Error::not_found(format!("storage '{storage}' has no key"));
    let key = String::from_utf8_lossy(&entry.ok_or_else(none)?.value).into_owned();
    let by = op.identity()?.label();
    let text = format!("the key of storage '{storage}' was exported");
    op.context
        .node
        .events
        .add(Priority::Warning, &by, "storage", text);
    Ok(Answer::new(
        json!({"storage": storage.as_str(), "key": key}),
    ))
}
