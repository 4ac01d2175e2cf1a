//! Turns at what more than one node changes: a volume group on a unit that all of them see.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::StorageError;

/// Gives turns.
#[async_trait]
pub trait Turns: Send + Sync + 'static {
    /// Waits until no other node changes what is called so, and keeps the others from it.
    /// `Refused` where that takes too long.
    async fn take(&self, what: &str) -> Result<Arc<dyn Turn>, StorageError>;
}

/// A turn that was taken. One that is dropped without `end` ends by itself after a while.
#[async_trait]
pub trait Turn: Send + Sync {
    /// Keeps the turn for longer. No other node has it before the time that is returned has passed,
    /// so a program that changes something must have ended by then; none: there is no other node.
    /// An error where the turn is lost: then nothing more may be changed.
    async fn keep(&self) -> Result<Option<Duration>, StorageError>;

    async fn end(&self);
}

/// Turns of a node that shares nothing.
pub struct Alone;

#[async_trait]
impl Turns for Alone {
    async fn take(&self, _what: &str) -> Result<Arc<dyn Turn>, StorageError> {
        Ok(Arc::new(Self))
    }
}

#[async_trait]
impl Turn for Alone {
    async fn keep(&self) -> Result<Option<Duration>, StorageError> {
        Ok(None)
    }

    async fn end(&self) {}
}
