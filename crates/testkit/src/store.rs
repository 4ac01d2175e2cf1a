//! A store that breaks at a chosen call.

use std::time::Duration;

use async_trait::async_trait;
use store::{
    Commit, Entry, Key, LeaseId, Page, PageToken, Prefix, Read, Revision, SharedStore, Store,
    StoreError, Watch,
};

use crate::Faults;

/// Any store behind `Faults`. A commit that fails after its effect answers `Unknown`, like a real
/// store when the connection breaks before the answer.
pub struct FaultyStore {
    inner: SharedStore,
    faults: Faults,
}

impl FaultyStore {
    pub fn new(inner: SharedStore, faults: Faults) -> Self {
        Self { inner, faults }
    }
}

fn unavailable(error: impl std::fmt::Display) -> StoreError {
    StoreError::Unavailable(error.to_string())
}

#[async_trait]
impl Store for FaultyStore {
    async fn get(&self, key: &Key, read: Read) -> Result<(Option<Entry>, Revision), StoreError> {
        let call = self
            .faults
            .begin(|| format!("store get {key}"))
            .await
            .map_err(unavailable)?;
        let found = self.inner.get(key, read).await?;
        call.end(found).await.map_err(unavailable)
    }

    async fn list(
        &self,
        prefix: &Prefix,
        from: Option<PageToken>,
        read: Read,
    ) -> Result<Page, StoreError> {
        let what = || format!("store list {}", prefix.as_str());
        let call = self.faults.begin(what).await.map_err(unavailable)?;
        let page = self.inner.list(prefix, from, read).await?;
        call.end(page).await.map_err(unavailable)
    }

    async fn commit(&self, commit: Commit) -> Result<Revision, StoreError> {
        let what = || format!("store commit of {} writes", commit.writes.len());
        let call = self.faults.begin(what).await.map_err(unavailable)?;
        let revision = self.inner.commit(commit.clone()).await?;
        call.end(revision)
            .await
            .map_err(|error| StoreError::Unknown(error.to_string()))
    }

    async fn watch(&self, prefix: &Prefix, after: Revision) -> Result<Box<dyn Watch>, StoreError> {
        self.inner.watch(prefix, after).await
    }

    async fn grant(&self, ttl: Duration) -> Result<LeaseId, StoreError> {
        self.inner.grant(ttl).await
    }

    async fn renew(&self, lease: LeaseId) -> Result<(), StoreError> {
        self.inner.renew(lease).await
    }

    async fn revoke(&self, lease: LeaseId) -> Result<(), StoreError> {
        self.inner.revoke(lease).await
    }
}
