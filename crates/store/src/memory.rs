//! A store in memory, for tests and simulation. Its content is gone when it is dropped.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use model::Clock;
use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};

use crate::expiry::{self, Expires, ExpiryTask};
use crate::history::History;
use crate::leases::Leases;
use crate::recent::{Keep, Logged, LoggedCommit};
use crate::{
    Changes, Commit, Entry, Key, LeaseId, Page, PageToken, Precondition, Prefix, Read, Revision,
    Store, StoreError, Watch, Write, check, limits,
};

/// See the module. Only leases need a tokio runtime. Revisions and lease ids count from 1, so that
/// a simulation is reproducible.
pub struct MemoryStore {
    inner: Arc<Inner>,
    /// Started with the first lease: a store without leases needs no runtime.
    expiry: OnceLock<ExpiryTask>,
}

struct Inner {
    state: Mutex<State>,
    /// Wakes watches when there is a new commit; dropped with the store, which ends them.
    news: Mutex<Option<watch::Sender<()>>>,
    clock: Arc<dyn Clock>,
    lease_added: Arc<Notify>,
}

struct State {
    history: History,
    leases: Leases,
    lease_last: u64,
}

impl MemoryStore {
    /// How many past revisions a store keeps by default.
    pub const KEPT_REVISIONS: u64 = 10_000;

    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self::keeping(Self::KEPT_REVISIONS, clock)
    }

    /// A store that answers `Compacted` for revisions more than `revisions` commits old.
    pub fn keeping(revisions: u64, clock: Arc<dyn Clock>) -> Self {
        let keep = Keep {
            revisions,
            bytes: usize::MAX,
        };
        let history = History::new(keep);
        let inner = Inner {
            state: Mutex::new(State {
                history,
                leases: Leases::default(),
                lease_last: 0,
            }),
            news: Mutex::new(Some(watch::Sender::new(()))),
            clock,
            lease_added: Arc::new(Notify::new()),
        };
        Self {
            inner: Arc::new(inner),
            expiry: OnceLock::new(),
        }
    }
}

impl Drop for MemoryStore {
    fn drop(&mut self) {
        self.inner
            .news
            .lock()
            .expect("no one panics while holding the news")
            .take();
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .expect("no one panics while holding the state")
    }

    fn tell(&self) {
        if let Some(news) = &*self
            .news
            .lock()
            .expect("no one panics while holding the news")
        {
            news.send_replace(());
        }
    }

    fn end(&self, lease: LeaseId, revoked: bool) {
        self.state().end(lease, revoked, self.clock.monotonic());
        self.tell();
    }
}

impl State {
    fn check(&self, commit: &Commit) -> Result<(), StoreError> {
        for (index, precondition) in commit.preconditions.iter().enumerate() {
            let entry = self.history.get(precondition.key());
            let holds = match precondition {
                Precondition::Absent(_) => entry.is_none(),
                Precondition::CreatedAt(_, at) => entry.is_some_and(|e| e.created == *at),
                Precondition::ModifiedAt(_, at) => entry.is_some_and(|e| e.modified == *at),
            };
            if !holds {
                return Err(StoreError::Conflict { index });
            }
        }
        let lost = |write: &Write| match write {
            Write::Put {
                lease: Some(lease), ..
            } => !self.leases.usable(*lease),
            _ => false,
        };
        if commit.writes.iter().any(lost) {
            Err(StoreError::LeaseLost)
        } else {
            Ok(())
        }
    }

    fn apply(&mut self, writes: Vec<Write>) -> Revision {
        let revision = Revision(self.history.revision().0 + 1);
        let mut changes = Vec::new();
        for write in writes {
            let before = self.history.get(write.key());
            match write {
                Write::Put { key, value, lease } => {
                    let created = before.map_or(revision, |entry| entry.created);
                    let entry = Entry {
                        key,
                        value,
                        created,
                        modified: revision,
                        lease,
                    };
                    changes.push(Logged::Put(Arc::new(entry)));
                }
                Write::Delete { key } if before.is_some() => changes.push(Logged::Delete(key)),
                Write::Delete { .. } => {}
            }
        }
        // A commit without changes gets no revision.
        if !changes.is_empty() {
            self.history.push(LoggedCommit { revision, changes });
        }
        self.history.revision()
    }

    fn end(&mut self, lease: LeaseId, revoked: bool, now: Duration) {
        if !self.leases.begin_end(lease, revoked, now) {
            return;
        }
        let bound = self
            .history
            .live()
            .filter(|entry| entry.lease == Some(lease));
        let deletes: Vec<_> = bound
            .map(|e| Write::Delete { key: e.key.clone() })
            .collect();
        for chunk in deletes.chunks(limits::WRITES_PER_COMMIT) {
            self.apply(chunk.to_vec());
        }
        self.leases.ended(lease);
    }
}

#[async_trait]
impl Expires for Inner {
    async fn end_due(&self) -> Result<(), StoreError> {
        let due = self.state().leases.due(self.clock.monotonic());
        for lease in due {
            self.end(lease, false);
        }
        Ok(())
    }

    fn next_deadline(&self) -> Option<Duration> {
        self.state().leases.next_deadline()
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn get(&self, key: &Key, _read: Read) -> Result<(Option<Entry>, Revision), StoreError> {
        let state = self.inner.state();
        let entry = state.history.get(key).map(|entry| Entry::clone(entry));
        Ok((entry, state.history.revision()))
    }

    async fn list(
        &self,
        prefix: &Prefix,
        from: Option<PageToken>,
        _read: Read,
    ) -> Result<Page, StoreError> {
        self.inner.state().history.page(prefix, from)
    }

    async fn commit(&self, commit: Commit) -> Result<Revision, StoreError> {
        check::commit(&commit)?;
        let revision = {
            let mut state = self.inner.state();
            state.check(&commit)?;
            state.apply(commit.writes)
        };
        self.inner.tell();
        Ok(revision)
    }

    async fn watch(&self, prefix: &Prefix, after: Revision) -> Result<Box<dyn Watch>, StoreError> {
        let state = self.inner.state();
        state.history.check_kept(after)?;
        if after > state.history.revision() {
            return Err(StoreError::Moved);
        }
        let news = self
            .inner
            .news
            .lock()
            .expect("no one panics while holding the news");
        let news = news
            .as_ref()
            .expect("the news end only when the store is dropped")
            .subscribe();
        let inner = Arc::clone(&self.inner);
        Ok(Box::new(MemoryWatch {
            inner,
            news,
            prefix: prefix.clone(),
            position: after,
        }))
    }

    async fn grant(&self, ttl: Duration) -> Result<LeaseId, StoreError> {
        check::lease_ttl(ttl)?;
        let id = {
            let mut state = self.inner.state();
            state.lease_last += 1;
            let id = LeaseId(state.lease_last);
            state.leases.add(id, ttl, self.inner.clock.monotonic());
            id
        };
        self.expiry.get_or_init(|| {
            let (clock, added) = (Arc::clone(&self.inner.clock), &self.inner.lease_added);
            expiry::start(
                &Handle::current(),
                Arc::downgrade(&self.inner),
                clock,
                added.clone(),
            )
        });
        self.inner.lease_added.notify_one();
        Ok(id)
    }

    async fn renew(&self, lease: LeaseId) -> Result<(), StoreError> {
        self.inner
            .state()
            .leases
            .renew(lease, self.inner.clock.monotonic())
    }

    async fn revoke(&self, lease: LeaseId) -> Result<(), StoreError> {
        self.inner.end(lease, true);
        Ok(())
    }
}

struct MemoryWatch {
    inner: Arc<Inner>,
    news: watch::Receiver<()>,
    prefix: Prefix,
    position: Revision,
}

#[async_trait]
impl Watch for MemoryWatch {
    async fn next(&mut self) -> Result<Changes, StoreError> {
        loop {
            self.news.borrow_and_update();
            let found = self
                .inner
                .state()
                .history
                .next_after(&self.prefix, &mut self.position)?;
            if let Some(changes) = found {
                return Ok(changes);
            }
            if self.news.changed().await.is_err() {
                return Err(StoreError::Unavailable("the store was closed".to_owned()));
            }
        }
    }
}
