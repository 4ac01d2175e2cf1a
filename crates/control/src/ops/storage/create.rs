//! `POST /storage`

use model::{Error, Record, StorageId};
use node::storage_key;
use proto::wire::Answer;
use serde::Deserialize;
use storage::StorageConfig;
use store::{Commit, Precondition, Read, Revision, StoreError};

use super::options::{DEFAULT_CONTENT, Options};
use super::{activate, changed, during, unreadable};
use crate::Context;
use crate::ops::Op;

#[derive(Deserialize)]
struct Create {
    storage: StorageId,
    path: Option<String>,
}

pub(super) async fn create(op: Op) -> Result<Answer, Error> {
    let Create { storage, path } = op.params()?;
    let options: Options = op.params()?;
    let path = path.ok_or_else(|| Error::conflict("missing value for required option 'path'"))?;
    let mut config = StorageConfig::dir(storage, path);
    config.content = DEFAULT_CONTENT.to_vec();
    options.apply(&mut config)?;
    let revision = add(&op.context, &config).await.map_err(during("create"))?;
    Ok(changed(&config).at(revision.0))
}

async fn add(context: &Context, config: &StorageConfig) -> Result<Revision, Error> {
    let key = storage_key(&config.id);
    let defined = || Error::conflict(format!("storage ID '{}' already defined", config.id));
    if context.store.get(&key, Read::Linear).await?.0.is_some() {
        return Err(defined());
    }
    activate(context, config).await?;
    let record = Record::new(config.clone()).encode().map_err(unreadable)?;
    let commit = Commit::new()
        .when(Precondition::Absent(key.clone()))
        .put(key, record);
    match context.store.commit(commit).await {
        Err(StoreError::Conflict { .. }) => Err(defined()),
        result => Ok(result?),
    }
}
