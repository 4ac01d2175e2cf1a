//! Errors of a store.

use model::ErrorKind;

use crate::Revision;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Precondition number `index` (from 0) does not hold. Nothing happened.
    #[error("precondition {index} of the commit does not hold")]
    Conflict { index: usize },
    /// The requested revision is older than those that are kept.
    #[error("revisions before {} are no longer kept", oldest.0)]
    Compacted { oldest: Revision },
    /// The commit was sent and no answer came. It may or may not have happened.
    #[error("the commit's outcome is unknown: {0}")]
    Unknown(String),
    /// The backend was replaced (a restore, another data file): list again.
    #[error("the store was replaced, revisions of before mean nothing now")]
    Moved,
    #[error("the lease has ended")]
    LeaseLost,
    /// No space, or a quota of the backend is reached. Nothing happened.
    #[error("the store is full: {0}")]
    Full(String),
    /// A majority of the members cannot be reached. Nothing happened. Clients match the text.
    #[error("cluster not ready - no quorum?")]
    NoQuorum,
    /// The store cannot be reached or opened. Nothing happened.
    #[error("the store is not available: {0}")]
    Unavailable(String),
    /// The request breaks a limit of the contract; the text names the limit. Nothing happened.
    #[error("the request breaks the store's limits: {0}")]
    Limit(String),
}

impl StoreError {
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Conflict { .. } => ErrorKind::Conflict,
            Self::Limit(_) => ErrorKind::Bug,
            _ => ErrorKind::Unavailable,
        }
    }
}

impl From<StoreError> for model::Error {
    fn from(error: StoreError) -> Self {
        Self::new(error.kind(), error.to_string())
    }
}
