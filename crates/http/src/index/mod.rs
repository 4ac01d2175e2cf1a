//! What the api knows by itself: a copy of the store without its secrets.
//!
//! ```text
//!   agent ══ feed ══► RemoteStore ──► Access        who may see what
//!                                └──► answers       lists, constants
//! ```
//!
//! It answers only rows of the form `Index`. While there is no connection to the agent it
//! answers what it last knew, and nothing before the first snapshot.

mod answers;
mod directories;
mod follow;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use auth::Access;
use model::schema::Values;
use model::{Clock, Error};
use proto::wire::Answer;
use proto::{Identity, Row};
use store::Revision;
use store::remote::RemoteStore;

pub use answers::ANSWERS;

/// How long an answer waits for the copy to reach what the caller's own change made.
const CATCH_UP_S: u64 = 3;

/// Past revisions that the copy keeps: only for lists of several pages.
const KEPT_REVISIONS: u64 = 200;

pub struct Index {
    clock: Arc<dyn Clock>,
    copy: RemoteStore,
    access: RwLock<Arc<Access>>,
    generation: AtomicU64,
}

impl Index {
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            copy: RemoteStore::keeping(KEPT_REVISIONS),
            access: RwLock::default(),
            generation: AtomicU64::new(0),
        }
    }

    /// Counts the changes of users, tokens and rights.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Waits until the copy has this revision, or gives up: the answer is right all the same,
    /// only a list asked for right after it may not show it yet.
    pub(crate) async fn reached(&self, revision: u64) {
        tokio::select! {
            _ = self.copy.wait_for(Revision(revision)) => {}
            () = self.clock.sleep(Duration::from_secs(CATCH_UP_S)) => {}
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
    ) -> Result<Answer, Error> {
        if let Some((_, answer)) = ANSWERS.iter().find(|(name, _)| *name == row.name) {
            return answer(self, who, params);
        }
        directories::directory(row)
            .ok_or_else(|| Error::bug(format!("{} has no answer", row.label())))
    }

    pub(crate) fn access(&self) -> Arc<Access> {
        self.access
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn set_access(&self, access: Access) {
        *self.access.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(access);
        self.generation.fetch_add(1, Ordering::AcqRel);
    }
}
