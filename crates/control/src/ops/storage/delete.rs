//! `DELETE /storage/{storage}`

use model::{Error, Record, StorageId};
use node::{StorageEntry, storage_key, storage_secret_key};
use proto::wire::Answer;
use storage::{Exporter, StorageConfig};
use store::{Commit, Entry, Precondition, Read, Revision, StoreError};

use super::{Named, during, missing, unreadable};
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
        check_no_export(context, &entry)?;
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

/// Refuses to remove what a member exports: it would go on. One that is no member any more cannot be
/// asked.
fn check_no_export(context: &Context, entry: &Entry) -> Result<(), Error> {
    let record = Record::<StorageConfig>::decode(&entry.value).map_err(unreadable)?;
    let node = &context.node;
    let is_member = |exporter: &&Exporter| {
        exporter.node == node.name || node.cluster.members.get(&exporter.node).is_some()
    };
    match record.data.spec.exporter().filter(is_member) {
        None => Ok(()),
        Some(exporter) => Err(Error::conflict(format!(
            "can't remove storage - node '{}' exports it: ostler storage unexport {}",
            exporter.node,
            record.data.id()
        ))),
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
