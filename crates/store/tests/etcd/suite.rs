//! The conformance suite. Each case has an etcd of its own, because revisions and compactions are
//! the server's.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use store::conformance::Backend;
use store::{
    Commit, Entry, EtcdStore, Key, LeaseId, Page, PageToken, Prefix, Read, Revision, SharedStore,
    Store, StoreError, Watch,
};

use crate::server::{self, Server};

struct Etcd {
    server: Mutex<Server>,
}

impl Etcd {
    fn new() -> Option<Self> {
        if server::program().is_none() {
            testkit::left_out::missing("store on etcd", "etcd is missing (etcd/build.sh)");
            return None;
        }
        let server = Mutex::new(Server::start());
        Some(Self { server })
    }
}

#[async_trait]
impl Backend for Etcd {
    async fn open(&self, kept: u64) -> SharedStore {
        let options = self.server.lock().unwrap().options("a");
        let store = server::create(options).await;
        Arc::new(Compacting {
            store,
            kept,
            compacted: Mutex::new(0),
        })
    }

    async fn reopen(&self, store: SharedStore) -> Option<SharedStore> {
        drop(store);
        let options = {
            let mut server = self.server.lock().unwrap();
            server.kill();
            server.run();
            server.options("a")
        };
        Some(Arc::new(server::connect(options).await))
    }

    /// etcd has the real clock.
    async fn pass(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}

/// Compacts after commits. etcd does so by itself, but only every five minutes.
struct Compacting {
    store: EtcdStore,
    kept: u64,
    compacted: Mutex<u64>,
}

#[async_trait]
impl Store for Compacting {
    async fn get(&self, key: &Key, read: Read) -> Result<(Option<Entry>, Revision), StoreError> {
        self.store.get(key, read).await
    }

    async fn list(
        &self,
        prefix: &Prefix,
        from: Option<PageToken>,
        read: Read,
    ) -> Result<Page, StoreError> {
        self.store.list(prefix, from, read).await
    }

    async fn commit(&self, commit: Commit) -> Result<Revision, StoreError> {
        let revision = self.store.commit(commit).await?;
        let oldest = revision.0.saturating_sub(self.kept);
        let due = {
            let mut compacted = self.compacted.lock().unwrap();
            let due = oldest > *compacted + self.kept;
            if due {
                *compacted = oldest;
            }
            due
        };
        if due {
            self.store.compact(Revision(oldest)).await?;
        }
        Ok(revision)
    }

    async fn watch(&self, prefix: &Prefix, after: Revision) -> Result<Box<dyn Watch>, StoreError> {
        self.store.watch(prefix, after).await
    }

    async fn grant(&self, ttl: Duration) -> Result<LeaseId, StoreError> {
        self.store.grant(ttl).await
    }

    async fn renew(&self, lease: LeaseId) -> Result<(), StoreError> {
        self.store.renew(lease).await
    }

    async fn revoke(&self, lease: LeaseId) -> Result<(), StoreError> {
        self.store.revoke(lease).await
    }
}

store::conformance_tests!(Etcd::new);
