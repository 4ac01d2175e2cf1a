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
    check_not_mixed(context, config).await?;
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

/// Refuses an encrypted storage of LVM beside another one at the same volumes, which has another key or none:
/// each would take the other's volumes for its own, and write over what they begin with.
async fn check_not_mixed(context: &Context, config: &StorageConfig) -> Result<(), Error> {
    let Some(place) = config.spec.volumes_at() else {
        return Ok(());
    };
    for other in context.node.records.storages().await? {
        let other = other.config;
        let is_same = other.spec.volumes_at().as_ref() == Some(&place) && config.meets(&other);
        if is_same && (config.spec.is_encrypted() || other.spec.is_encrypted()) {
            let text = format!(
                "'{place}' is storage '{}' already: an encrypted one shares its volumes with no other",
                other.id()
            );
            return Err(Error::conflict(text));
        }
    }
    Ok(())
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
