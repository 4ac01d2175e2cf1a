//! The conformance suite on the memory store.
#![allow(clippy::unwrap_used, reason = "everything in here is a test")]

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use store::conformance::{Backend, ManualClock};
use store::{Commit, Key, MemoryStore, Prefix, Revision, SharedStore, Store, StoreError};

struct Memory {
    clock: Arc<ManualClock>,
}

impl Memory {
    fn new() -> Self {
        Self {
            clock: Arc::new(ManualClock::new()),
        }
    }
}

#[async_trait]
impl Backend for Memory {
    async fn open(&self, kept: u64) -> SharedStore {
        Arc::new(MemoryStore::keeping(kept, self.clock.clone()))
    }

    async fn reopen(&self, _store: SharedStore) -> Option<SharedStore> {
        None
    }

    async fn pass(&self, time: Duration) {
        self.clock.advance(time);
    }
}

store::conformance_tests!(|| Some(Memory::new()));

#[tokio::test]
async fn a_watch_ends_with_its_store() {
    let store = MemoryStore::new(Arc::new(ManualClock::new()));
    let mut watch = store.watch(&Prefix::all(), Revision(0)).await.unwrap();
    drop(store);
    assert!(matches!(
        watch.next().await,
        Err(StoreError::Unavailable(_))
    ));
}

#[tokio::test]
async fn a_watch_from_the_future_means_another_store() {
    let store = MemoryStore::new(Arc::new(ManualClock::new()));
    let refused = store.watch(&Prefix::all(), Revision(1)).await;
    assert_eq!(refused.err(), Some(StoreError::Moved));
}

/// A simulation is only reproducible if the store assigns the same numbers each time.
#[tokio::test]
async fn numbers_are_the_same_every_time() {
    for _ in 0..2 {
        let store = MemoryStore::new(Arc::new(ManualClock::new()));
        let lease = store.grant(Duration::from_secs(5)).await.unwrap();
        let commit = Commit::new().put_leased(Key::new("a").unwrap(), "x", lease);
        assert_eq!((lease.0, store.commit(commit).await), (1, Ok(Revision(1))));
    }
}
