//! `POST /storage`

use model::{Error, Record, StorageId};
use node::{storage_encryption_key, storage_key};
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
    let key_of_storage = match config.spec.is_encrypted() {
        true => Some(encryption_key(context, config.id()).await?),
        false => secret.over(None),
    };
    activate(context, config, key_of_storage).await?;
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

/// The key of an encrypted storage: that of an earlier storage of this id, or a new one. It is kept
/// before anything is encrypted with it.
async fn encryption_key(context: &Context, id: &StorageId) -> Result<String, Error> {
    let at = storage_encryption_key(id);
    loop {
        let (entry, _) = context.store.get(&at, Read::Linear).await?;
        if let Some(entry) = entry {
            return Ok(String::from_utf8_lossy(&entry.value).into_owned());
        }
        let mut bytes = [0; 32];
        aws_lc_rs::rand::fill(&mut bytes).map_err(|_| Error::bug("no random numbers"))?;
        let key: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let commit = Commit::new()
            .when(Precondition::Absent(at.clone()))
            .put(at.clone(), key.into_bytes());
        match context.store.commit(commit).await {
            Err(StoreError::Conflict { .. }) | Ok(_) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
