//! `POST /storage`

use model::{Error, Record};
use node::storage_key;
use proto::wire::Answer;
use serde::Deserialize;
use storage::{StorageConfig, StorageType};
use store::{Commit, Precondition, Read, Revision, StoreError};

use super::options::configure;
use super::secret::Secret;
use super::{Named, activate, changed, during, unreadable};
use crate::Context;
use crate::ops::Op;

#[derive(Deserialize)]
struct Create {
    #[serde(rename = "type")]
    kind: StorageType,
}

pub(super) async fn create(op: Op) -> Result<Answer, Error> {
    let Named { storage } = op.params()?;
    let Create { kind } = op.params()?;
    let secret = Secret::of(kind, &op.params, &[])?;
    let config = configure(storage, kind, &op.params)?;
    let revision = add(&op.context, &config, secret)
        .await
        .map_err(during("create"))?;
    Ok(changed(&config).at(revision.0))
}

async fn add(context: &Context, config: &StorageConfig, secret: Secret) -> Result<Revision, Error> {
    let key = storage_key(config.id());
    let defined = || Error::conflict(format!("storage ID '{}' already defined", config.id()));
    if context.store.get(&key, Read::Linear).await?.0.is_some() {
        return Err(defined());
    }
    activate(context, config, secret.over(None)).await?;
    let record = Record::new(config.clone()).encode().map_err(unreadable)?;
    let commit = Commit::new()
        .when(Precondition::Absent(key.clone()))
        .put(key, record);
    match context
        .store
        .commit(secret.write(commit, config.id()))
        .await
    {
        Err(StoreError::Conflict { .. }) => Err(defined()),
        result => Ok(result?),
    }
}
