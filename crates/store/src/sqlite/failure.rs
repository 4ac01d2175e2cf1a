//! The meaning of SQLite's errors for the contract.

use rusqlite::ErrorCode;
use rusqlite::ffi::SQLITE_IOERR_WRITE;

use crate::StoreError;

/// Why a read or write failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The request itself is refused; the database is fine.
    Refused(StoreError),
    /// SQLite failed before the commit: nothing was written.
    Before(rusqlite::Error),
    /// SQLite failed during the commit.
    Committing(rusqlite::Error),
    /// The data file was replaced since it was opened.
    Replaced(String),
}

/// The state after a failed transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Aftermath {
    /// Nothing was written, because the disk is full.
    Full(String),
    /// Nothing was written.
    Nothing(String),
    /// The commit may come back: its record may have reached the log although SQLite then failed,
    /// so the next opening of the file would find it.
    Unknown(String),
    /// Nothing was written, and nothing may be written any more.
    Replaced(String),
}

pub(crate) type Result<T> = std::result::Result<T, Failure>;

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Before(error)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Refused(error)
    }
}

impl Failure {
    /// For a read, which has no effects.
    pub(crate) fn into_store_error(self) -> StoreError {
        match self {
            Self::Refused(error) => error,
            Self::Before(error) | Self::Committing(error) => {
                StoreError::Unavailable(error.to_string())
            }
            Self::Replaced(text) => StoreError::Unavailable(text),
        }
    }

    pub(crate) fn aftermath(self) -> Aftermath {
        match self {
            Self::Refused(error) => Aftermath::Nothing(error.to_string()),
            Self::Replaced(text) => Aftermath::Replaced(text),
            Self::Before(error) if is_full(&error) => Aftermath::Full(error.to_string()),
            Self::Before(error) => Aftermath::Nothing(error.to_string()),
            Self::Committing(error) => after_commit_failed(&error),
        }
    }
}

fn is_full(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::DiskFull)
}

/// A transaction counts once its last frame, which carries the commit mark and a checksum, is in
/// the write-ahead log. If that write failed, the transaction does not exist. Any later failure
/// (the fsync, the growth of the shared index) comes when the mark may have been written. Source:
/// sqlite3WalFrames in SQLite's wal.c.
fn after_commit_failed(error: &rusqlite::Error) -> Aftermath {
    let extended = error.sqlite_error().map(|error| error.extended_code);
    match extended {
        _ if is_full(error) => Aftermath::Full(error.to_string()),
        Some(SQLITE_IOERR_WRITE) => Aftermath::Nothing(error.to_string()),
        _ => Aftermath::Unknown(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::ffi;

    use super::*;

    fn error(extended: i32) -> rusqlite::Error {
        rusqlite::Error::SqliteFailure(ffi::Error::new(extended), None)
    }

    #[test]
    fn only_a_failure_after_the_commit_mark_is_unknown() {
        let after = |extended| Failure::Committing(error(extended)).aftermath();
        assert!(matches!(after(ffi::SQLITE_FULL), Aftermath::Full(_)));
        assert!(matches!(
            after(ffi::SQLITE_IOERR_WRITE),
            Aftermath::Nothing(_)
        ));
        assert!(matches!(
            after(ffi::SQLITE_IOERR_FSYNC),
            Aftermath::Unknown(_)
        ));
        assert!(matches!(
            after(ffi::SQLITE_IOERR_SHMSIZE),
            Aftermath::Unknown(_)
        ));
        let before = Failure::Before(error(ffi::SQLITE_IOERR_FSYNC)).aftermath();
        assert!(matches!(before, Aftermath::Nothing(_)));
    }
}
