//! The signing keys in the store.

use std::sync::PoisonError;

use model::{Record, UnixTime};
use store::{Commit, Key, Precondition, Read, Store, StoreError};

use super::Authority;
use crate::error::AuthError;
use crate::keys;
use crate::ticket::{Signer, StoredKeys};

async fn load(
    store: &dyn Store,
    key: &Key,
) -> Result<(Record<StoredKeys>, Precondition), AuthError> {
    let (entry, _) = store.get(key, Read::Local).await?;
    let Some(entry) = entry else {
        return Ok((
            Record::new(StoredKeys::default()),
            Precondition::Absent(key.clone()),
        ));
    };
    let record = Record::decode(&entry.value)
        .map_err(|_| AuthError::Broken("the signing keys cannot be read".to_owned()))?;
    Ok((
        record,
        Precondition::ModifiedAt(key.clone(), entry.modified),
    ))
}

/// Adds a new key as the first.
async fn rotate(store: &dyn Store, key: &Key, now: UnixTime) -> Result<(), AuthError> {
    let (mut record, unchanged) = load(store, key).await?;
    record.data.rotate(now);
    let value = record
        .encode()
        .map_err(|_| AuthError::Broken("the signing keys cannot be written".to_owned()))?;
    match store
        .commit(Commit::new().when(unchanged).put(key.clone(), value))
        .await
    {
        // Another node added a key first, which is just as good.
        Ok(_) | Err(StoreError::Conflict { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

async fn load_signer(store: &dyn Store) -> Result<Signer, AuthError> {
    let (tickets, _) = load(store, &keys::ticket_keys()).await?;
    let (csrf, _) = load(store, &keys::csrf_keys()).await?;
    Signer::new(&tickets.data, &csrf.data)
}

/// Loads the keys; creates them if there are none.
pub(super) async fn open(store: &dyn Store, now: UnixTime) -> Result<Signer, AuthError> {
    for key in [keys::ticket_keys(), keys::csrf_keys()] {
        let (record, _) = load(store, &key).await?;
        if record.data.keys.is_empty() {
            rotate(store, &key, now).await?;
        }
    }
    load_signer(store).await
}

impl Authority {
    pub(super) async fn reload_keys(&self) -> Result<(), AuthError> {
        let signer = load_signer(&*self.store).await?;
        *self.signer.write().unwrap_or_else(PoisonError::into_inner) = signer.into();
        Ok(())
    }

    /// Starts signing with new keys. Signatures of older keys stay valid until they expire. For a
    /// daily job of the leader.
    pub async fn rotate_keys(&self) -> Result<(), AuthError> {
        for key in [keys::ticket_keys(), keys::csrf_keys()] {
            rotate(&*self.store, &key, self.clock.wall()).await?;
        }
        self.reload_keys().await
    }
}
