//! What a storage answers when it cannot do what was asked.

use model::{BlockFormat, ErrorKind, StorageId, VmId};
use sys::SysError;

#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    #[error("unable to activate storage '{storage}' - {reason}")]
    Inactive { storage: StorageId, reason: String },
    #[error("volume '{storage}:{name}' does not exist")]
    NoVolume { storage: StorageId, name: String },
    #[error("volume '{storage}:{name}' has no snapshot '{snapshot}'")]
    NoSnapshot {
        storage: StorageId,
        name: String,
        snapshot: String,
    },
    #[error("volume '{storage}:{name}' already exists")]
    Exists { storage: StorageId, name: String },
    #[error("volume '{storage}:{name}' is in use")]
    InUse { storage: StorageId, name: String },
    #[error("unable to parse volume name '{0}'")]
    BadName(String),
    #[error("unsupported format '{}'", .0.as_str())]
    BadFormat(BlockFormat),
    /// What this volume, as it is, cannot be used for; the text says why.
    #[error("{0}")]
    Refused(String),
    #[error("storage '{storage}' does not support {what}")]
    Unsupported { storage: StorageId, what: String },
    #[error("no space left on storage '{0}'")]
    Full(StorageId),
    /// Nothing there has answered for a while.
    #[error("storage '{0}' is not online")]
    Silent(StorageId),
    /// Another node changes it, or whether one does cannot be found out.
    #[error("cannot lock '{what}': {reason}")]
    Locked { what: String, reason: String },
    /// Another node may change it by now.
    #[error("the lock of '{what}' is lost: it was not renewed in time")]
    LockLost { what: String },
    #[error("checksum mismatch: got '{found}' != expect '{expected}'")]
    WrongChecksum { found: String, expected: String },
    /// Whether new volumes of a guest are to have properties of their own could not be found out.
    #[error("the tier of guest {owner} is not known: {reason}")]
    NoTier { owner: VmId, reason: String },
    #[error("storage '{storage}'")]
    Host {
        storage: StorageId,
        source: SysError,
    },
}

impl StorageError {
    pub(crate) fn no_snapshot(storage: &StorageId, name: &str, snapshot: &str) -> Self {
        Self::NoSnapshot {
            storage: storage.clone(),
            name: name.to_owned(),
            snapshot: snapshot.to_owned(),
        }
    }

    /// Of a snapshot that others follow. Source: the text of Proxmox VE.
    pub(crate) fn not_newest(storage: &StorageId, name: &str, snapshot: &str) -> Self {
        let why = format!("is not most recent snapshot on '{storage}:{name}'");
        Self::Refused(format!("can't rollback, '{snapshot}' {why}"))
    }

    /// Words a failure of the host; a full disk and one that does not answer have errors of their
    /// own.
    pub(crate) fn of(storage: &StorageId, source: SysError) -> Self {
        let storage = storage.clone();
        let program_full = matches!(&source, SysError::ProgramFailed { message, .. }
            if message.contains("No space left on device"));
        match source {
            source if source.is_full() || program_full => Self::Full(storage),
            SysError::Silent { .. } => Self::Silent(storage),
            source => Self::Host { storage, source },
        }
    }

    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NoVolume { .. } => ErrorKind::NotFound,
            Self::Exists { .. } | Self::InUse { .. } | Self::BadName(_) | Self::BadFormat(_) => {
                ErrorKind::Conflict
            }
            Self::NoSnapshot { .. }
            | Self::Refused(_)
            | Self::Unsupported { .. }
            | Self::WrongChecksum { .. } => ErrorKind::Conflict,
            Self::Inactive { .. }
            | Self::Full(_)
            | Self::Silent(_)
            | Self::Locked { .. }
            | Self::LockLost { .. }
            | Self::NoTier { .. } => ErrorKind::Unavailable,
            Self::Host { source, .. } => source.kind(),
        }
    }
}

impl From<StorageError> for model::Error {
    fn from(error: StorageError) -> Self {
        Self::new(error.kind(), Self::chain(&error))
    }
}
