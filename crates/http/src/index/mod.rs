//! What the api knows by itself: what lists show of the store, and what the agents observe.
//!
//! ```text
//!   agent ══ watch ══► Follower: packed rows ──┐
//!                  │       └────► Access ──────┼──► answers     lists, constants, directories
//!                  └─► Observed: status ───────┘      only what the caller may see
//! ```
//!
//! It answers only rows of the form `Index`. While there is no connection to the agent it
//! answers what it last knew (and of guests' status soon only that it is unknown), and nothing
//! before the first snapshot.

mod answers;
mod copy;
mod directories;
mod follow;
mod guests;
mod observed;
mod once;
mod resources;

#[cfg(test)]
mod tests;

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use auth::Access;
use model::schema::Values;
use model::{Clock, Error};
use proto::wire::Answer;
use proto::{Identity, Row};
use store::Revision;
use tokio::sync::watch;

use copy::{Copy, Follower};
use observed::Observed;

pub use answers::ANSWERS;

/// How long an answer waits for the first copy, or for the copy to reach what the caller's own
/// change made.
const CATCH_UP_S: u64 = 3;

/// Everything that lists are answered from.
pub struct Index {
    clock: Arc<dyn Clock>,
    follower: RwLock<Follower>,
    observed: RwLock<Observed>,
    /// Wakes those who wait for something to arrive.
    news: watch::Sender<()>,
    /// Of the certificate that this api serves.
    fingerprint: Option<String>,
}

/// An answer of the index.
pub enum Content {
    Answer(Answer),
    /// Data that is JSON text already: a long list is never built as a tree of values.
    Json(Vec<u8>),
}

/// Whether the index answers a row.
pub fn has_answer(row: &Row) -> bool {
    ANSWERS.iter().any(|(name, _)| *name == row.name) || directories::directory(row).is_some()
}

impl Index {
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            follower: RwLock::default(),
            observed: RwLock::default(),
            news: watch::Sender::new(()),
            fingerprint: None,
        }
    }

    /// Names the certificate that clients of this api see.
    #[must_use]
    pub fn with_fingerprint(mut self, fingerprint: String) -> Self {
        self.fingerprint = Some(fingerprint);
        self
    }

    /// Counts the changes of users, tokens and rights.
    pub(crate) fn generation(&self) -> u64 {
        self.follower().generation
    }

    /// Waits until the copy has this revision, or gives up: the answer is right all the same,
    /// only a list asked for right after it may not show it yet.
    pub(crate) async fn reached(&self, revision: u64) {
        let has_it = || {
            let follower = self.follower();
            follower
                .copy
                .as_ref()
                .is_some_and(|copy| copy.revision >= Revision(revision))
        };
        tokio::select! {
            () = self.until(has_it) => {}
            () = self.clock.sleep(Duration::from_secs(CATCH_UP_S)) => {}
        }
    }

    /// Waits for the first copy, as right after the start, or gives up. Before it there are no
    /// rights to be checked either, so nobody may be refused before this.
    pub(crate) async fn begun(&self) {
        let has_one = || self.follower().copy.is_some();
        tokio::select! {
            () = self.until(has_one) => {}
            () = self.clock.sleep(Duration::from_secs(CATCH_UP_S)) => {}
        }
    }

    /// Waits for something that a message of the agent brings about.
    async fn until(&self, holds: impl Fn() -> bool) {
        let mut news = self.news.subscribe();
        loop {
            news.borrow_and_update();
            if holds() {
                return;
            }
            news.changed()
                .await
                .expect("the index itself keeps the sender alive");
        }
    }

    /// Whether a caller may have this row's answer.
    pub(crate) fn check(&self, row: &Row, who: &Identity, params: &Values) -> Result<(), Error> {
        Ok(self
            .access()
            .check(&row.permission, who, params, self.clock.wall())?)
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

    pub(crate) fn access(&self) -> Arc<Access> {
        self.follower().access.clone()
    }

    fn follower(&self) -> RwLockReadGuard<'_, Follower> {
        self.follower.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn follower_mut(&self) -> RwLockWriteGuard<'_, Follower> {
        self.follower
            .write()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn observed(&self) -> RwLockReadGuard<'_, Observed> {
        self.observed.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn observed_mut(&self) -> RwLockWriteGuard<'_, Observed> {
        self.observed
            .write()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// The copy, once there is one.
fn known(follower: &Follower) -> Result<&Copy, Error> {
    let missing = || Error::unavailable("the node agent has not been heard yet");
    follower.copy.as_ref().ok_or_else(missing)
}

/// A list as JSON text.
fn json(list: &impl serde::Serialize) -> Result<Content, Error> {
    serde_json::to_vec(list)
        .map(Content::Json)
        .map_err(|error| Error::bug(format!("a list cannot be written: {error}")))
}
