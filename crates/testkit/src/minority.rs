//! A store that loses its majority and gets it back.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use model::Clock;
use store::{
    Commit, Entry, Key, LeaseId, Outage, Page, PageToken, Prefix, Read, Revision, SharedStore,
    Store, StoreError, Watch,
};
use tokio::sync::watch;

/// Any store, whose local reads alone are answered between `lose` and `regain`.
pub struct MinorityStore {
    inner: SharedStore,
    clock: Arc<dyn Clock>,
    /// When the majority was lost.
    lost: watch::Sender<Option<Duration>>,
}

impl MinorityStore {
    pub fn new(inner: SharedStore, clock: Arc<dyn Clock>) -> Self {
        Self {
            inner,
            clock,
            lost: watch::Sender::new(None),
        }
    }

    pub fn lose(&self) {
        self.lost.send_replace(Some(self.clock.monotonic()));
    }

    pub fn regain(&self) {
        self.lost.send_replace(None);
    }

    fn check(&self) -> Result<(), StoreError> {
        match *self.lost.borrow() {
            None => Ok(()),
            Some(_) => Err(StoreError::NoQuorum),
        }
    }
}

#[async_trait]
impl Store for MinorityStore {
    async fn get(&self, key: &Key, read: Read) -> Result<(Option<Entry>, Revision), StoreError> {
        if read == Read::Linear {
            self.check()?;
        }
        self.inner.get(key, read).await
    }

    async fn list(
        &self,
        prefix: &Prefix,
        from: Option<PageToken>,
        read: Read,
    ) -> Result<Page, StoreError> {
        if read == Read::Linear {
            self.check()?;
        }
        self.inner.list(prefix, from, read).await
    }

    async fn commit(&self, commit: Commit) -> Result<Revision, StoreError> {
        self.check()?;
        self.inner.commit(commit).await
    }

    async fn watch(&self, prefix: &Prefix, after: Revision) -> Result<Box<dyn Watch>, StoreError> {
        self.inner.watch(prefix, after).await
    }

    async fn grant(&self, ttl: Duration) -> Result<LeaseId, StoreError> {
        self.check()?;
        self.inner.grant(ttl).await
    }

    async fn renew(&self, lease: LeaseId) -> Result<(), StoreError> {
        self.check()?;
        self.inner.renew(lease).await
    }

    async fn revoke(&self, lease: LeaseId) -> Result<(), StoreError> {
        self.check()?;
        self.inner.revoke(lease).await
    }

    fn outage(&self) -> Option<Outage> {
        let lost = (*self.lost.borrow())?;
        Some(Outage {
            reason: "a test took it away".to_owned(),
            age: Some(self.clock.monotonic().saturating_sub(lost)),
        })
    }

    async fn until_outage(&self, is_out: bool) {
        let mut lost = self.lost.subscribe();
        // The sender is in `self`.
        let _ = lost.wait_for(|lost| lost.is_some() == is_out).await;
    }
}
