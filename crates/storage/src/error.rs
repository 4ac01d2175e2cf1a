//! What a storage answers when it cannot do what was asked.

use model::{ErrorKind, StorageId};
use sys::SysError;

#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    #[error("storage '{0}' does not exist")]
    NoStorage(StorageId),
    #[error("storage '{0}' is not available on this node")]
    NotHere(StorageId),
    #[error("unable to activate storage '{storage}' - {reason}")]
    Inactive { storage: StorageId, reason: String },
    #[error("volume '{storage}:{name}' does not exist")]
    NoVolume { storage: StorageId, name: String },
    #[error("volume '{storage}:{name}' already exists")]
    Exists { storage: StorageId, name: String },
    #[error("unable to parse volume name '{0}'")]
    BadName(String),
    #[error("storage '{storage}' does not support {what}")]
    Unsupported { storage: StorageId, what: String },
    #[error("no space left on storage '{0}'")]
    Full(StorageId),
    /// Nothing there has answered for a while.
    #[error("storage '{0}' is not online")]
    Silent(StorageId),
    #[error("checksum mismatch: got '{found}' != expect '{expected}'")]
    WrongChecksum { found: String, expected: String },
    #[error("storage '{storage}'")]
    Host {
        storage: StorageId,
        source: SysError,
    },
}

impl StorageError {
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NoStorage(_) | Self::NotHere(_) | Self::NoVolume { .. } => ErrorKind::NotFound,
            Self::Exists { .. } => ErrorKind::Conflict,
            Self::BadName(_) | Self::Unsupported { .. } | Self::WrongChecksum { .. } => {
                ErrorKind::Conflict
            }
            Self::Inactive { .. } | Self::Full(_) | Self::Silent(_) => ErrorKind::Unavailable,
            Self::Host { source, .. } => source.kind(),
        }
    }
}

impl From<StorageError> for model::Error {
    fn from(error: StorageError) -> Self {
        Self::new(error.kind(), Self::chain(&error))
    }
}
