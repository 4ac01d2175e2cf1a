//! The one thread that writes.
//!
//! It takes the queued requests, up to a number, applies them in one transaction, and answers after
//! the one fsync. Each commit has its own preconditions, its own revision and its own answer. If
//! the transaction finds no space, each commit gets its own transaction, so that one that is too
//! big does not fail the others.

use std::slice;
use std::sync::Arc;

use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::oneshot;

use super::Core;
use super::apply::{Draft, Work};
use super::failure::{Aftermath, Failure, Result};
use super::file::DataFile;
use super::schema::{self, Head};
use crate::StoreError;

pub(crate) struct Request {
    pub(crate) work: Work,
    pub(crate) reply: oneshot::Sender<std::result::Result<u64, StoreError>>,
}

/// The maximum number of requests per transaction.
const BATCH: usize = 128;
/// How many superseded rows are deleted to make room in a full store.
const SQUEEZE_ROWS: usize = 1000;
/// How far a deletion may exceed the size limit: it is a row too, so otherwise a full store could
/// not be emptied.
const RESERVE_PAGES: u64 = 256;

pub(crate) struct Writer {
    // The order matters: the connection is closed before the file is unlocked.
    pub(crate) connection: Connection,
    pub(crate) file: DataFile,
    pub(crate) head: Head,
    pub(crate) kept: u64,
    /// The size limit in pages.
    pub(crate) pages_max: Option<u64>,
    pub(crate) core: Arc<Core>,
}

/// When the writer ends, for any reason, its callers are answered. Requests that were not started
/// are refused; only those in progress have an unknown outcome.
struct LastWords<'a>(&'a Core);

impl Drop for LastWords<'_> {
    fn drop(&mut self) {
        let error = StoreError::Unavailable("the writer of the store ended".to_owned());
        self.0.stop(error.clone(), error.clone());
        for request in self.0.queue.abandon() {
            // The caller may have stopped waiting.
            let _ = request.reply.send(Err(error.clone()));
        }
    }
}

impl Writer {
    /// Serves until the queue is closed.
    pub(crate) fn run(mut self) {
        let core = Arc::clone(&self.core);
        let _last_words = LastWords(&core);
        while let Some(batch) = core.queue.take(BATCH) {
            if !self.serve(batch) {
                return;
            }
        }
    }

    /// Answers every request of the batch. False ends the thread.
    fn serve(&mut self, batch: Vec<Request>) -> bool {
        match self.attempt(&batch) {
            #[cfg(test)]
            Ok(_) if self.core.fault() == super::Fault::AfterCommit => return false,
            Ok(outcomes) => {
                for (request, outcome) in batch.into_iter().zip(outcomes) {
                    // The caller may have stopped waiting.
                    let _ = request.reply.send(outcome);
                }
            }
            #[cfg(test)]
            Err(_) if self.core.fault() == super::Fault::BeforeCommit => return false,
            Err(Aftermath::Full(_)) => {
                self.make_room();
                batch
                    .into_iter()
                    .for_each(|request| self.serve_alone(request));
            }
            Err(aftermath) => {
                batch
                    .into_iter()
                    .for_each(|request| refuse(request, &aftermath));
            }
        }
        true
    }

    fn serve_alone(&mut self, request: Request) {
        self.limit_size(if request.work.only_deletes() {
            RESERVE_PAGES
        } else {
            0
        });
        let attempt = self.attempt(slice::from_ref(&request));
        self.limit_size(0);
        match attempt {
            Ok(mut outcomes) => {
                let outcome = outcomes.pop().expect("one request has one outcome");
                let _ = request.reply.send(outcome);
            }
            Err(aftermath) => refuse(request, &aftermath),
        }
    }

    /// Applies all of the batch or nothing of it, and publishes the changes.
    fn attempt(
        &mut self,
        batch: &[Request],
    ) -> std::result::Result<Vec<std::result::Result<u64, StoreError>>, Aftermath> {
        if let Err(error) = self.core.check() {
            return Err(Aftermath::Nothing(unwrapped(error)));
        }
        let mut draft = Draft::new(&self.head);
        let result = self.transact(batch, &mut draft);
        if let Err(failure) = result {
            let mut leases = self.core.leases();
            draft
                .ended
                .iter()
                .for_each(|lease| leases.abandon_end(*lease));
            drop(leases);
            let aftermath = failure.aftermath();
            self.core.stop_after(&aftermath);
            return Err(aftermath);
        }
        self.head.revision = draft.revision;
        self.head.compacted = draft.compacted;
        self.head.sealed_by.clone_from(&draft.sealed_by);
        Ok(self.core.publish(draft))
    }

    fn transact(&mut self, batch: &[Request], draft: &mut Draft) -> Result<()> {
        self.file.check().map_err(Failure::Replaced)?;
        let behavior = TransactionBehavior::Immediate;
        let transaction = self.connection.transaction_with_behavior(behavior)?;
        if Head::read(&transaction)? != self.head {
            let path = self.file.path().display();
            let text = format!("{path} was overwritten while it was open, start again");
            return Err(Failure::Replaced(text));
        }
        for request in batch {
            draft.apply(&self.core, &transaction, &request.work)?;
        }
        draft.finish(&transaction, self.kept)?;
        #[cfg(test)]
        if self.core.fault() == super::Fault::BeforeCommit {
            return Err(StoreError::Unavailable("a fault of the test".to_owned()).into());
        }
        transaction.commit().map_err(Failure::Committing)
    }

    /// Deletes history to make room. Errors are ignored: the commit that needs the room is tried
    /// again in any case and reports them.
    fn make_room(&mut self) {
        // The log is overwritten from its start, which needs no new space on the disk.
        let checkpoint = |row: &rusqlite::Row<'_>| row.get::<_, i64>(0);
        if let Err(error) =
            self.connection
                .query_row("PRAGMA wal_checkpoint(RESTART)", (), checkpoint)
        {
            tracing::debug!(%error, "no checkpoint of a full store");
        }
        self.limit_size(RESERVE_PAGES);
        let mut draft = Draft::new(&self.head);
        let squeezed = self.squeeze(&mut draft);
        self.limit_size(0);
        match squeezed {
            Ok(()) => {
                self.head.compacted = draft.compacted;
                self.core.publish(draft);
            }
            Err(failure) => self.core.stop_after(&failure.aftermath()),
        }
        tracing::warn!(path = %self.file.path().display(), "the store is full");
    }
}

impl Writer {
    fn squeeze(&mut self, draft: &mut Draft) -> Result<()> {
        let behavior = TransactionBehavior::Immediate;
        let transaction = self.connection.transaction_with_behavior(behavior)?;
        draft.squeeze(&transaction, SQUEEZE_ROWS)?;
        transaction.commit().map_err(Failure::Committing)
    }

    /// Sets the size limit, and how far it may be exceeded.
    fn limit_size(&self, reserve: u64) {
        let Some(pages) = self.pages_max else { return };
        if let Err(error) = schema::limit_pages(&self.connection, pages + reserve) {
            tracing::warn!(%error, "the size limit of the store could not be set");
        }
    }
}

fn refuse(request: Request, aftermath: &Aftermath) {
    let error = match aftermath {
        Aftermath::Full(text) => StoreError::Full(text.clone()),
        Aftermath::Unknown(text) if request.work.writes() => StoreError::Unknown(text.clone()),
        Aftermath::Unknown(text) | Aftermath::Nothing(text) | Aftermath::Replaced(text) => {
            StoreError::Unavailable(text.clone())
        }
    };
    // The caller may have stopped waiting.
    let _ = request.reply.send(Err(error));
}

/// The text of an error that will be wrapped in the same words again.
fn unwrapped(error: StoreError) -> String {
    match error {
        StoreError::Unavailable(text) => text,
        other => other.to_string(),
    }
}

impl Core {
    /// Publishes a durable transaction to watches, and returns its answers.
    fn publish(&self, draft: Draft) -> Vec<std::result::Result<u64, StoreError>> {
        let now = self.clock.monotonic();
        let mut leases = self.leases();
        draft.ended.iter().for_each(|lease| leases.ended(*lease));
        // A lease's time begins after it is durable: later is allowed, earlier is not.
        draft
            .granted
            .iter()
            .for_each(|(lease, ttl)| leases.add(*lease, *ttl, now));
        drop(leases);
        if !draft.granted.is_empty() {
            self.lease_added.notify_one();
        }
        let mut state = self.state();
        for commit in draft.commits {
            state.recent.push(commit);
            while state.recent.pop_excess().is_some() {}
        }
        drop(state);
        self.news.send_replace(());
        draft.outcomes
    }

    /// After some failures this process must neither touch the file nor answer from it.
    pub(crate) fn stop_after(&self, aftermath: &Aftermath) {
        match aftermath {
            Aftermath::Full(_) | Aftermath::Nothing(_) => {}
            // Until the file is reopened, the result of a read is unknown.
            Aftermath::Unknown(text) => {
                let text =
                    format!("a commit ended unknown, the store must be opened again: {text}");
                self.stop(
                    StoreError::Unavailable(text.clone()),
                    StoreError::Unavailable(text),
                );
            }
            Aftermath::Replaced(text) => {
                self.stop(StoreError::Unavailable(text.clone()), StoreError::Moved);
            }
        }
    }
}
