//! `DELETE /storage/{storage}`

use model::{Error, StorageId};
use node::{StorageEntry, storage_key, storage_secret_key};
use proto::wire::Answer;
use store::{Commit, Precondition, Read, Revision, StoreError};

use super::{Named, during, missing};
use crate::Context;
use crate::ops::Op;

pub(super) async fn delete(op: Op) -> Result<Answer, Error> {
    let Named { storage } = op.params()?;
    let revision = remove(&op.context, &storage)
        .await
        .map_err(during("delete"))?;
    Ok(Answer::null().at(revision.0))
}

/// Removes the record of a storage, even if guests use it, as Proxmox VE does: the volumes stay,
/// and a storage of the same name and path brings them back.
async fn remove(context: &Context, id: &StorageId) -> Result<Revision, Error> {
    let key = storage_key(id);
    loop {
        let (entry, _) = context.store.get(&key, Read::Linear).await?;
        let entry = entry.ok_or_else(|| missing(id))?;
        check_no_base(context, id).await?;
        let commit = Commit::new()
            .when(Precondition::ModifiedAt(key.clone(), entry.modified))
            .delete(key.clone())
            .delete(storage_secret_key(id));
        match context.store.commit(commit).await {
            Err(StoreError::Conflict { .. }) => {}
            result => return Ok(result?),
        }
    }
}

/// Refuses to remove what a volume group lies on.
async fn check_no_base(context: &Context, id: &StorageId) -> Result<(), Error> {
    let storages = context.node.records.storages().await?;
    let is_base = |entry: &StorageEntry| {
        let base = entry.config.spec.base();
        base.is_some_and(|base| base.storage() == id)
    };
    match storages.iter().find(|entry| is_base(entry)) {
        None => Ok(()),
        Some(entry) => Err(Error::conflict(format!(
            "can't remove storage - it is the base of storage '{}'",
            entry.config.id()
        ))),
    }
}
