//! A read-only copy of a store in another process, and its feed.
//!
//! ```text
//!   agent: Store ──► feed() ──► FeedMessage ═ any transport ═► Feeder ──► RemoteStore :api
//! ```
//!
//! It has no transport: the owner of a connection takes messages out of `Feed::next` at one end
//! and puts them into `Feeder::accept` at the other.
//!
//! **Invariants.** Excluded keys never leave the serving side: in the copy they do not
//! exist. Reads show the store at one revision, possibly an old one. So a read that must
//! be `Linear` is refused: only the agent can answer it. Revisions are the store's own, so
//! that a caller can `wait_for` its own writes.

mod feed;

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;

pub use self::feed::{Feed, FeedMessage, feed};
use crate::history::History;
use crate::recent::{Keep, Logged, LoggedCommit};
use crate::{
    Change, Changes, Commit, Entry, Key, LeaseId, Page, PageToken, Prefix, Read, Revision, Store,
    StoreError, Watch,
};

/// How much history a copy keeps for lists of several pages and for slow watches.
const KEEP: Keep = Keep {
    revisions: 10_000,
    bytes: 64 << 20,
};

/// The copy. Reads answer `Unavailable` until its first snapshot is complete, and from then on they
/// answer even without a feed; changes answer `ReadOnly`.
///
/// A watch ends with `Compacted` when a new snapshot replaces the changes that it waited for, and
/// with `Moved` when that snapshot may be of another store. The latter is assumed of every snapshot
/// by a new `Feeder`.
#[derive(Clone)]
pub struct RemoteStore {
    inner: Arc<Inner>,
}

struct Inner {
    state: Mutex<State>,
    /// Wakes watches and `wait_for`.
    news: watch::Sender<()>,
    keep: Keep,
}

struct State {
    /// None until the first snapshot is complete, and again after `Moved`.
    history: Option<History>,
    /// Changes with every snapshot: a watch belongs to one.
    snapshot: u64,
    /// The first snapshot that continues the revisions of the current one. Watches of an earlier
    /// one end with `Moved`.
    since_moved: u64,
    /// How often the store was replaced.
    moves: u64,
    /// The newest feeder; messages of older ones are ignored.
    feeder: u64,
}

/// Why a message was refused. The connection should be closed and opened again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FeedError {
    #[error("the feed sent {0}")]
    OutOfOrder(String),
    #[error("another connection feeds this copy")]
    Superseded,
}

impl Default for RemoteStore {
    fn default() -> Self {
        Self::new()
    }
}

impl RemoteStore {
    pub fn new() -> Self {
        Self::with(KEEP)
    }

    /// A copy that keeps fewer past revisions than usual.
    pub fn keeping(revisions: u64) -> Self {
        Self::with(Keep { revisions, ..KEEP })
    }

    fn with(keep: Keep) -> Self {
        let state = State {
            history: None,
            snapshot: 0,
            since_moved: 0,
            moves: 0,
            feeder: 0,
        };
        let (state, news) = (Mutex::new(state), watch::Sender::new(()));
        Self {
            inner: Arc::new(Inner { state, news, keep }),
        }
    }

    /// The receiving end of one connection, from its beginning. A later feeder supersedes it.
    pub fn feeder(&self) -> Feeder {
        let mut state = self.inner.state();
        state.feeder += 1;
        let number = state.feeder;
        Feeder {
            inner: Arc::clone(&self.inner),
            number,
            pages: None,
            complete: false,
        }
    }

    /// The revision of the copy; none before the first snapshot is complete.
    pub fn revision(&self) -> Option<Revision> {
        self.inner.state().history.as_ref().map(History::revision)
    }

    /// Waits until the copy has reached a revision of the store, so that a caller who got it from
    /// the agent can read it here. Waits without limit, also for a connection: use a timeout.
    ///
    /// `Moved` if the store is replaced meanwhile, since the revision then never comes.
    pub async fn wait_for(&self, revision: Revision) -> Result<(), StoreError> {
        let mut news = self.inner.news.subscribe();
        let moves = self.inner.state().moves;
        loop {
            news.borrow_and_update();
            {
                let state = self.inner.state();
                if state.moves != moves {
                    return Err(StoreError::Moved);
                }
                if state
                    .history
                    .as_ref()
                    .is_some_and(|h| h.revision() >= revision)
                {
                    return Ok(());
                }
            }
            news.changed()
                .await
                .expect("the copy itself keeps the sender alive");
        }
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .expect("no one panics while holding the state")
    }
}

impl State {
    fn readable(&self, read: Read) -> Result<&History, StoreError> {
        if read == Read::Linear {
            let text = "a copy answers local reads only, ask the agent";
            return Err(StoreError::Unavailable(text.to_owned()));
        }
        self.history.as_ref().ok_or_else(|| {
            StoreError::Unavailable("the copy of the store is not complete yet".to_owned())
        })
    }
}

/// Takes the messages of one connection in their order. See `RemoteStore::feeder`.
pub struct Feeder {
    inner: Arc<Inner>,
    number: u64,
    /// The snapshot that is being received.
    pages: Option<(Revision, Vec<Entry>)>,
    /// One snapshot of this connection is complete.
    complete: bool,
}

impl Feeder {
    /// Applies the next message. Never waits. After an error the feeder accepts no more.
    pub fn accept(&mut self, message: FeedMessage) -> Result<(), FeedError> {
        let inner = Arc::clone(&self.inner);
        let mut state = inner.state();
        if state.feeder != self.number {
            return Err(FeedError::Superseded);
        }
        let taken = match message {
            FeedMessage::SnapshotPage {
                entries,
                revision,
                last,
            } => self.take_page(&mut state, entries, revision, last),
            FeedMessage::Changes(changes) => self.take_changes(&mut state, changes),
            FeedMessage::Moved => {
                self.forget(&mut state);
                Ok(())
            }
        };
        if taken.is_err() {
            // Later messages may not match the earlier ones.
            state.feeder += 1;
        }
        drop(state);
        inner.news.send_replace(());
        taken
    }

    fn take_page(
        &mut self,
        state: &mut State,
        page: Vec<Entry>,
        revision: Revision,
        last: bool,
    ) -> Result<(), FeedError> {
        let (begun, mut entries) = self.pages.take().unwrap_or((revision, Vec::new()));
        if revision != begun {
            // The store compacted the snapshot away while it was being listed; it begins again.
            entries.clear();
        }
        entries.extend(page);
        if !last {
            self.pages = Some((revision, entries));
            return Ok(());
        }
        let current = state.history.as_ref().map(History::revision);
        if self.complete && current.is_some_and(|current| current > revision) {
            let text = format!("a snapshot of {} after {current:?}", revision.0);
            return Err(FeedError::OutOfOrder(text));
        }
        state.snapshot += 1;
        if !self.complete {
            // A new connection, perhaps to another store.
            state.since_moved = state.snapshot;
        }
        state.history = Some(History::new(entries, revision, self.inner.keep));
        self.complete = true;
        Ok(())
    }

    fn take_changes(&mut self, state: &mut State, changes: Changes) -> Result<(), FeedError> {
        let history = state
            .history
            .as_mut()
            .filter(|_| self.complete && self.pages.is_none());
        let Some(history) = history else {
            return Err(FeedError::OutOfOrder(
                "changes before a snapshot".to_owned(),
            ));
        };
        let revision = changes.revision;
        if revision <= history.revision() {
            let text = format!("revision {} after {}", revision.0, history.revision().0);
            return Err(FeedError::OutOfOrder(text));
        }
        let logged = |change| match change {
            Change::Put(entry) => Logged::Put(Arc::new(entry)),
            Change::Delete { key, .. } => Logged::Delete(key),
        };
        let changes = changes.changes.into_iter().map(logged).collect();
        history.push(LoggedCommit { revision, changes });
        Ok(())
    }

    fn forget(&mut self, state: &mut State) {
        self.pages = None;
        self.complete = false;
        state.history = None;
        state.snapshot += 1;
        state.since_moved = state.snapshot;
        state.moves += 1;
    }
}

#[async_trait]
impl Store for RemoteStore {
    async fn get(&self, key: &Key, read: Read) -> Result<(Option<Entry>, Revision), StoreError> {
        let state = self.inner.state();
        let history = state.readable(read)?;
        Ok((
            history.get(key).map(|entry| Entry::clone(entry)),
            history.revision(),
        ))
    }

    async fn list(
        &self,
        prefix: &Prefix,
        from: Option<PageToken>,
        read: Read,
    ) -> Result<Page, StoreError> {
        self.inner.state().readable(read)?.page(prefix, from)
    }

    async fn commit(&self, _commit: Commit) -> Result<Revision, StoreError> {
        Err(StoreError::ReadOnly)
    }

    /// Unlike in the store itself, `after` may be ahead of the copy; the watch then waits for it.
    async fn watch(&self, prefix: &Prefix, after: Revision) -> Result<Box<dyn Watch>, StoreError> {
        let news = self.inner.news.subscribe();
        let state = self.inner.state();
        state.readable(Read::Local)?.check_kept(after)?;
        Ok(Box::new(RemoteWatch {
            inner: Arc::clone(&self.inner),
            news,
            snapshot: state.snapshot,
            prefix: prefix.clone(),
            position: after,
        }))
    }

    async fn grant(&self, _ttl: Duration) -> Result<LeaseId, StoreError> {
        Err(StoreError::ReadOnly)
    }

    async fn renew(&self, _lease: LeaseId) -> Result<(), StoreError> {
        Err(StoreError::ReadOnly)
    }

    async fn revoke(&self, _lease: LeaseId) -> Result<(), StoreError> {
        Err(StoreError::ReadOnly)
    }
}

struct RemoteWatch {
    inner: Arc<Inner>,
    news: watch::Receiver<()>,
    snapshot: u64,
    prefix: Prefix,
    position: Revision,
}

impl RemoteWatch {
    fn poll(&mut self) -> Result<Option<Changes>, StoreError> {
        let state = self.inner.state();
        if self.snapshot < state.since_moved {
            return Err(StoreError::Moved);
        }
        let Some(history) = &state.history else {
            return Err(StoreError::Moved);
        };
        if self.snapshot < state.snapshot {
            return Err(StoreError::Compacted {
                oldest: history.revision(),
            });
        }
        history.next_after(&self.prefix, &mut self.position)
    }
}

#[async_trait]
impl Watch for RemoteWatch {
    async fn next(&mut self) -> Result<Changes, StoreError> {
        loop {
            self.news.borrow_and_update();
            if let Some(changes) = self.poll()? {
                return Ok(changes);
            }
            self.news
                .changed()
                .await
                .expect("the watch itself keeps the sender alive");
        }
    }
}
