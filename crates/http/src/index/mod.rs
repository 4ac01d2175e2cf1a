//! The api's own data: what lists show of the store, and the status that agents report.
//!
//! ```text
//!   agent ══ watch ══► Writer ──► Snapshot ──┬─► Sight: what the caller may see
//!                      (one)     (immutable) └─► List: text, shared between lists ──► Cache
//! ```
//!
//! It answers only rows of the form `Index`. While there is no connection to the agent it
//! answers what it last knew (and of guests' status soon only that it is unknown), and nothing
//! before the first snapshot.
//!
//! **Invariants.** A list is a function of a snapshot, a sight, a query and a second. A row is
//! written once per change, not once per request. No lock is held while JSON is written.

mod answers;
mod cache;
mod changes;
mod directories;
mod follow;
mod guests;
mod list;
mod node_status;
mod once;
mod replica;
mod resources;
mod sight;
mod snapshot;
mod table;
mod text;
mod writer;

#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use auth::Access;
use model::schema::Values;
use model::{Clock, Error};
use proto::wire::Answer;
use proto::{Identity, Row};
use store::Revision;
use tokio::sync::watch;

use cache::Cache;
use node_status::Tick;
use resources::Query;
use sight::{Sight, Sights};
use snapshot::Snapshot;
use writer::Writer;

pub use answers::ANSWERS;
pub(crate) use changes::{CHANGES, Seen};
pub(crate) use list::Frame;
pub use list::List;

/// How long an answer waits for the first copy, or for the copy to reach what the caller's own
/// change made.
const CATCH_UP_S: u64 = 3;

/// Everything that lists are answered from.
pub struct Index {
    clock: Arc<dyn Clock>,
    writer: Mutex<Writer>,
    snapshot: RwLock<Arc<Snapshot>>,
    /// Signals a new snapshot.
    news: watch::Sender<()>,
    sights: Sights,
    cache: Cache,
    served: RwLock<Option<Arc<Served>>>,
}

/// The certificate that clients of this api see.
struct Served {
    /// The api's node.
    node: String,
    fingerprint: String,
}

/// An answer of the index.
pub enum Content {
    Answer(Answer),
    /// Data that is JSON text already.
    Json(Vec<u8>),
    /// A cached list.
    List(Arc<List>),
}

/// Whether the index answers a row.
pub fn has_answer(row: &Row) -> bool {
    ANSWERS.iter().any(|(name, _)| *name == row.name) || directories::directory(row).is_some()
}

impl Index {
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            writer: Mutex::default(),
            snapshot: RwLock::default(),
            news: watch::Sender::new(()),
            sights: Sights::default(),
            cache: Cache::default(),
            served: RwLock::default(),
        }
    }

    /// Names the certificate that clients of this node's api see.
    #[must_use]
    pub fn with_fingerprint(self, node: &str, fingerprint: String) -> Self {
        self.show_fingerprint(node, fingerprint);
        self
    }

    /// Names another one, after it was renewed.
    pub fn show_fingerprint(&self, node: &str, fingerprint: String) {
        let node = node.to_owned();
        let served = Arc::new(Served { node, fingerprint });
        *self.served.write().unwrap_or_else(PoisonError::into_inner) = Some(served);
    }

    fn served(&self) -> Option<Arc<Served>> {
        let served = self.served.read().unwrap_or_else(PoisonError::into_inner);
        served.clone()
    }

    /// Counts the changes of users, tokens and rights.
    pub(crate) fn generation(&self) -> u64 {
        self.snapshot().rights.generation
    }

    /// How old the state is, in seconds, while the cluster has no majority.
    pub(crate) fn age_s(&self) -> Option<u64> {
        let contact = self.snapshot().last_contact?;
        Some(self.clock.monotonic().saturating_sub(contact).as_secs())
    }

    /// Waits until the replica has this revision, or gives up: the answer is right all the same,
    /// only a list asked for right after it may not show it yet.
    pub(crate) async fn reached(&self, revision: u64) {
        let revision = Revision(revision);
        self.until_soon(|snapshot| snapshot.revision.is_some_and(|known| known >= revision))
            .await;
    }

    /// Waits for the first records and the first status of a node, as right after the start, or
    /// gives up. Before them no rights and no node are known, so no caller may be refused.
    pub(crate) async fn begun(&self) {
        self.until_soon(Snapshot::is_ready).await;
    }

    /// Waits until the records of a credential that the agent has verified are here, or gives up:
    /// those of a user or token that was just made may still be on their way.
    pub(crate) async fn knows(&self, who: &Identity) {
        self.until_soon(|snapshot| snapshot.rights.access.holder(who).is_some())
            .await;
    }

    async fn until_soon(&self, holds: impl Fn(&Snapshot) -> bool) {
        if holds(&self.snapshot()) {
            return;
        }
        tokio::select! {
            () = self.until(holds) => {}
            () = self.clock.sleep(Duration::from_secs(CATCH_UP_S)) => {}
        }
    }

    /// Waits for something that a message of the agent brings about.
    async fn until(&self, holds: impl Fn(&Snapshot) -> bool) {
        let mut news = self.news.subscribe();
        loop {
            news.borrow_and_update();
            if holds(&self.snapshot()) {
                return;
            }
            news.changed()
                .await
                .expect("the index itself keeps the sender alive");
        }
    }

    /// Whether a caller may have this row's answer.
    pub(crate) fn check(&self, row: &Row, who: &Identity, params: &Values) -> Result<(), Error> {
        let access = &self.snapshot().rights.access;
        Ok(access.check(&row.permission, who, params, self.clock.wall())?)
    }

    pub(crate) fn answer(
        &self,
        row: &Row,
        who: &Identity,
        params: &Values,
    ) -> Result<Content, Error> {
        if let Some((_, answer)) = ANSWERS.iter().find(|(name, _)| *name == row.name) {
            return answer(self, who, params);
        }
        directories::directory(row)
            .map(Content::Answer)
            .ok_or_else(|| Error::bug(format!("{} has no answer", row.label())))
    }

    /// A list for a caller, cached if possible.
    fn list(&self, who: &Identity, asked: Query) -> Result<Arc<List>, Error> {
        let (snapshot, tick) = self.now();
        snapshot.complete()?;
        let sight = self.sight(who, &snapshot);
        Ok(self.list_of(&snapshot, &sight, tick, asked))
    }

    fn list_of(&self, snapshot: &Snapshot, sight: &Sight, tick: Tick, query: Query) -> Arc<List> {
        let asked = (sight.number, query);
        self.cache
            .get(asked, snapshot.version, tick, |(_, query), list| {
                query.write(snapshot, sight, tick, list);
            })
    }

    fn sight(&self, who: &Identity, snapshot: &Snapshot) -> Arc<Sight> {
        self.sights.of(who, &snapshot.rights, self.clock.wall())
    }

    /// Signals each new snapshot.
    pub(crate) fn news(&self) -> watch::Receiver<()> {
        self.news.subscribe()
    }

    /// Waits until the snapshot becomes outdated by time: a node has been silent for too long.
    pub(crate) async fn until_a_node_is_silent(&self) {
        match self.snapshot().good_until {
            Some(until) => {
                let left = until.saturating_sub(self.clock.monotonic());
                self.clock.sleep(left).await;
            }
            None => std::future::pending().await,
        }
    }

    pub(crate) fn access(&self) -> Arc<Access> {
        self.snapshot().rights.access.clone()
    }

    /// The newest snapshot. It may be outdated by time; lists use `now`.
    fn snapshot(&self) -> Arc<Snapshot> {
        let snapshot = self.snapshot.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&snapshot)
    }

    /// The current snapshot and second.
    fn now(&self) -> (Arc<Snapshot>, Tick) {
        let now = self.clock.monotonic();
        let tick = node_status::tick(now);
        let snapshot = self.snapshot();
        if snapshot.good_until.is_none_or(|until| now < until) {
            return (snapshot, tick);
        }
        let mut writer = self.writer();
        writer.fall_silent(now);
        (self.publish(&writer), tick)
    }

    fn writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the writer's state the current snapshot.
    fn publish(&self, writer: &Writer) -> Arc<Snapshot> {
        let new = Arc::new(writer.snapshot());
        let mut current = self
            .snapshot
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let old = std::mem::replace(&mut *current, Arc::clone(&new));
        drop(current);
        // If this is the last reference, it is freed outside the lock.
        drop(old);
        self.news.send_replace(());
        new
    }
}

/// A short list as JSON text.
fn json(list: &impl serde::Serialize) -> Result<Content, Error> {
    serde_json::to_vec(list)
        .map(Content::Json)
        .map_err(|error| Error::bug(format!("a list cannot be written: {error}")))
}
