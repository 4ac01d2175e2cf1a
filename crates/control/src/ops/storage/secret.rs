//! The secrets of storages: the password of a share, the keyring of a cluster. They are no part of the record, which the api
//! has a copy of.

use model::{Error, StorageId};
use node::storage_secret_key;
use storage::StorageType;
use store::Commit;

/// The longest password. Source: the schema of Proxmox VE.
const LENGTH_MAX: usize = 256;

/// Files of keys have a few lines.
const KEYRING_MAX: usize = 4096;

/// What a request does to the secret of a storage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Secret {
    Keep,
    Set(String),
    Forget,
}

impl Secret {
    /// Of a request with these parameters, which deletes these properties.
    pub(super) fn of(
        kind: StorageType,
        params: &model::schema::Values,
        delete: &[&str],
    ) -> Result<Self, Error> {
        let Some(name) = kind.secret() else {
            return Ok(Self::Keep);
        };
        match params.get(name).and_then(serde_json::Value::as_str) {
            Some(text) if name == "keyring" => {
                if text.len() > KEYRING_MAX {
                    let reason = format!("it has at most {KEYRING_MAX} bytes");
                    return Err(Error::invalid(name, reason));
                }
                Ok(Self::Set(text.to_owned()))
            }
            Some(text) if text.len() > LENGTH_MAX || text.contains(['\n', '\0']) => {
                let reason = format!("it must be one line of at most {LENGTH_MAX} bytes");
                Err(Error::invalid(name, reason))
            }
            Some(text) => Ok(Self::Set(text.to_owned())),
            None if delete.contains(&name) => Ok(Self::Forget),
            None => Ok(Self::Keep),
        }
    }

    /// The secret that will be in force.
    pub(super) fn over(&self, kept: Option<String>) -> Option<String> {
        match self {
            Self::Keep => kept,
            Self::Set(secret) => Some(secret.clone()),
            Self::Forget => None,
        }
    }

    pub(super) fn write(&self, commit: Commit, id: &StorageId) -> Commit {
        match self {
            Self::Keep => commit,
            Self::Set(secret) => commit.put(storage_secret_key(id), secret.clone().into_bytes()),
            Self::Forget => commit.delete(storage_secret_key(id)),
        }
    }
}
