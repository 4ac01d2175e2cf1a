//! A store that can be replaced under its users.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{OwnedRwLockWriteGuard, RwLock, watch};

use crate::{
    Changes, Commit, Entry, Key, LeaseId, Outage, Page, PageToken, Prefix, Read, Revision,
    SharedStore, Standing, Store, StoreError, Watch,
};

/// Passes every call to the present store. After `replace`, watches of the old one end with
/// `Moved`, and calls that were in progress there answer `Moved` if they failed: they must not be
/// taken for an answer of the new store.
pub struct SwitchStore {
    present: watch::Sender<SharedStore>,
    /// Read while something is changed, written by whom changes wait for.
    changing: Arc<RwLock<()>>,
}

/// Changes wait until it is dropped.
pub struct Hold(#[expect(dead_code, reason = "held")] OwnedRwLockWriteGuard<()>);

impl SwitchStore {
    pub fn new(store: SharedStore) -> Self {
        Self {
            present: watch::Sender::new(store),
            changing: Arc::default(),
        }
    }

    /// Lets changes wait, once those in progress have ended, so that a store that cannot be sealed is
    /// copied. One that was broken off may still apply.
    pub async fn hold(&self) -> Hold {
        Hold(self.changing.clone().write_owned().await)
    }

    /// Replaces the store. The old one is dropped when its last call ends.
    ///
    /// Both must have the same content, the new one's revisions must be beyond those of the old one,
    /// and that may accept no change any more.
    pub fn replace(&self, store: SharedStore) {
        self.present.send_replace(store);
    }

    fn present(&self) -> Called {
        let mut changes = self.present.subscribe();
        let store = changes.borrow_and_update().clone();
        Called { store, changes }
    }
}

/// The store that a call goes to.
struct Called {
    store: SharedStore,
    changes: watch::Receiver<SharedStore>,
}

impl Called {
    fn answer<T>(&self, answer: Result<T, StoreError>) -> Result<T, StoreError> {
        answered(&self.changes, answer)
    }
}

fn answered<T>(
    changes: &watch::Receiver<SharedStore>,
    answer: Result<T, StoreError>,
) -> Result<T, StoreError> {
    match answer {
        // Its outcome stays unknown.
        Err(StoreError::Unknown(text)) => Err(StoreError::Unknown(text)),
        Err(_) if changes.has_changed().is_ok_and(|changed| changed) => Err(StoreError::Moved),
        answer => answer,
    }
}

#[async_trait]
impl Store for SwitchStore {
    async fn get(&self, key: &Key, read: Read) -> Result<(Option<Entry>, Revision), StoreError> {
        let called = self.present();
        called.answer(called.store.get(key, read).await)
    }

    async fn list(
        &self,
        prefix: &Prefix,
        from: Option<PageToken>,
        read: Read,
    ) -> Result<Page, StoreError> {
        let called = self.present();
        called.answer(called.store.list(prefix, from, read).await)
    }

    async fn commit(&self, commit: Commit) -> Result<Revision, StoreError> {
        let _changing = self.changing.read().await;
        let called = self.present();
        called.answer(called.store.commit(commit).await)
    }

    async fn watch(&self, prefix: &Prefix, after: Revision) -> Result<Box<dyn Watch>, StoreError> {
        let called = self.present();
        let watch = called.answer(called.store.watch(prefix, after).await)?;
        let changes = called.changes;
        Ok(Box::new(SwitchWatch { watch, changes }))
    }

    async fn grant(&self, ttl: Duration) -> Result<LeaseId, StoreError> {
        let _changing = self.changing.read().await;
        let called = self.present();
        called.answer(called.store.grant(ttl).await)
    }

    async fn renew(&self, lease: LeaseId) -> Result<(), StoreError> {
        let called = self.present();
        called.answer(called.store.renew(lease).await)
    }

    async fn revoke(&self, lease: LeaseId) -> Result<(), StoreError> {
        let _changing = self.changing.read().await;
        let called = self.present();
        called.answer(called.store.revoke(lease).await)
    }

    fn outage(&self) -> Option<Outage> {
        self.present.borrow().outage()
    }

    fn copy(&self) -> Option<Standing> {
        self.present.borrow().copy()
    }

    async fn until_outage(&self, is_out: bool) {
        loop {
            let mut called = self.present();
            tokio::select! {
                () = called.store.until_outage(is_out) => return,
                // The sender is in `self`.
                _ = called.changes.changed() => {}
            }
        }
    }
}

/// It does not keep a replaced store open.
struct SwitchWatch {
    watch: Box<dyn Watch>,
    changes: watch::Receiver<SharedStore>,
}

#[async_trait]
impl Watch for SwitchWatch {
    async fn next(&mut self) -> Result<Changes, StoreError> {
        tokio::select! {
            biased;
            changed = self.changes.changed() => Err(match changed {
                Ok(()) => StoreError::Moved,
                Err(_) => StoreError::Unavailable("the store was closed".to_owned()),
            }),
            next = self.watch.next() => answered(&self.changes, next),
        }
    }

    fn resumed(&self) -> u64 {
        self.watch.resumed()
    }
}
