//! `POST /storage`

use model::{Error, Record};
use node::storage_key;
use proto::wire::Answer;
use storage::StorageConfig;
use store::{Commit, Precondition, Read, Revision, StoreError};

use super::options::{Fixed, Options, check_expected};
use super::{Named, activate, changed, during, unreadable};
use crate::Context;
use crate::ops::Op;

pub(super) async fn create(op: Op) -> Result<Answer, Error> {
    let Named { storage } = op.params()?;
    let spec = op.params::<Fixed>()?.spec()?;
    check_expected(spec.kind(), &op.params)?;
    let content = spec.kind().default_contents().to_vec();
    let mut config = StorageConfig::new(storage, spec, content);
    op.params::<Options>()?.apply(&mut config)?;
    let revision = add(&op.context, &config).await.map_err(during("create"))?;
    Ok(changed(&config).at(revision.0))
}

async fn add(context: &Context, config: &StorageConfig) -> Result<Revision, Error> {
    let key = storage_key(config.id());
    let defined = || Error::conflict(format!("storage ID '{}' already defined", config.id()));
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
