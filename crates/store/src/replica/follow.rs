//! Feeding a replica.

use std::sync::Arc;
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::OwnedMutexGuard;

use super::tables::{self, State};
use super::{Present, Replica};
use crate::{Changes, Key, PageToken, Prefix, Read, Revision, Store, StoreError};

/// How often the moment of the last contact is written down.
const NOTE_CONTACT_S: i64 = 60;

/// The turn of one call of `follow`. A write that is in progress when the call is dropped keeps it,
/// so that the next call begins after it.
type Turn = Arc<OwnedMutexGuard<()>>;

/// What a replica does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// It goes on with a watch.
    Resume,
    /// It reads the whole store: the watch cannot go on, or was interrupted.
    Compare,
}

impl Replica {
    /// Feeds the replica from `source`, whose id is `id`, until the source is replaced; `Moved` is
    /// returned then, and the caller follows the new one. Other errors of the source are retried.
    ///
    /// May be dropped at any time, and begun again: it resumes at the replica's revision. A second
    /// call waits until the first one has ended. A copy of another store is replaced once the new
    /// one is complete.
    pub async fn follow(&self, source: &dyn Store, id: &str) -> StoreError {
        let turn = Arc::new(Arc::clone(&self.following).lock_owned().await);
        let mut next = Next::Resume;
        loop {
            match self.follow_until_lost(source, id, &turn, &mut next).await {
                Ok(()) => {}
                Err(StoreError::Moved) => return StoreError::Moved,
                Err(StoreError::Compacted { .. }) => next = Next::Compare,
                Err(error) => {
                    tracing::warn!(%error, "the replica cannot follow the store, trying again");
                    self.clock.sleep(self.options.retry_pause).await;
                }
            }
        }
    }

    async fn follow_until_lost(
        &self,
        source: &dyn Store,
        id: &str,
        turn: &Turn,
        next: &mut Next,
    ) -> Result<(), StoreError> {
        let known = self.present.borrow().clone().map(|present| present.state);
        let (after, is_compared) = match known {
            Some(state) if state.store == id && *next == Next::Resume => (state.revision, false),
            _ => (self.read_whole(source, id, turn).await?, true),
        };
        *next = Next::Resume;
        let mut watch = source.watch(&Prefix::all(), after).await?;
        // The watch of an earlier call or process may have missed something.
        let mut compare_at = (!is_compared).then(|| self.some_time_later());
        let mut resumed = watch.resumed();
        let mut tick = self.clock.sleep(self.options.probe_interval);
        let mut is_kept = true;
        loop {
            tokio::select! {
                changes = watch.next() => {
                    self.take(changes?, id, turn).await?;
                    is_kept = false;
                }
                () = &mut tick => {
                    if !std::mem::replace(&mut is_kept, true) {
                        self.write(turn, tables::keep).await?;
                    }
                    self.probe(source, turn).await?;
                    if watch.resumed() != resumed {
                        resumed = watch.resumed();
                        compare_at.get_or_insert(self.some_time_later());
                    }
                    if compare_at.is_some_and(|at| self.clock.monotonic() >= at) {
                        *next = Next::Compare;
                        return Ok(());
                    }
                    tick = self.clock.sleep(self.options.probe_interval);
                }
            }
        }
    }

    async fn take(&self, changes: Changes, id: &str, turn: &Turn) -> Result<(), StoreError> {
        let state = State {
            store: id.to_owned(),
            revision: changes.revision,
            contact: self.now(),
        };
        let written = state.clone();
        let apply = move |sql: &mut Connection| tables::apply(sql, &changes, &written);
        self.write_and_show(turn, state, apply).await
    }

    /// Whether the store has a majority. Only its replacement is an error here: the watch goes on
    /// without a majority.
    async fn probe(&self, source: &dyn Store, turn: &Turn) -> Result<(), StoreError> {
        let any = Key::new("probe").expect("a constant that is a key");
        match source.get(&any, Read::Linear).await {
            Ok(_) => {}
            Err(StoreError::Moved) => return Err(StoreError::Moved),
            Err(_) => return Ok(()),
        }
        let Some(mut state) = self.present.borrow().clone().map(|present| present.state) else {
            return Ok(());
        };
        let now = self.now();
        if now.abs_diff(state.contact) < NOTE_CONTACT_S.unsigned_abs() {
            self.shower(state)();
            return Ok(());
        }
        state.contact = now;
        let touch = move |sql: &mut Connection| tables::touch(sql, now);
        self.write_and_show(turn, state, touch).await
    }

    /// Makes the replica equal to the store at one revision, which is returned.
    async fn read_whole(
        &self,
        source: &dyn Store,
        id: &str,
        turn: &Turn,
    ) -> Result<Revision, StoreError> {
        self.write(turn, tables::begin_list).await?;
        let mut from: Option<PageToken> = None;
        loop {
            let after = from.as_ref().map_or("", |token| token.after.as_str());
            let after = after.to_owned();
            let page = source.list(&Prefix::all(), from, Read::Linear).await?;
            let until = page
                .next
                .as_ref()
                .map(|next| next.after.as_str().to_owned());
            let entries = page.entries;
            self.write(turn, move |sql| {
                tables::compare(sql, &entries, &after, until.as_deref())
            })
            .await?;
            from = page.next;
            if from.is_none() {
                return self.finish(id, page.revision, turn).await;
            }
        }
    }

    async fn finish(
        &self,
        id: &str,
        revision: Revision,
        turn: &Turn,
    ) -> Result<Revision, StoreError> {
        let state = State {
            store: id.to_owned(),
            revision,
            contact: self.now(),
        };
        let written = state.clone();
        let finish = move |sql: &mut Connection| tables::finish_list(sql, &written);
        let differences = self.write_and_show(turn, state, finish).await?;
        tracing::info!(
            differences,
            revision = revision.0,
            "the replica was compared"
        );
        Ok(revision)
    }

    async fn write<T: Send + 'static>(
        &self,
        turn: &Turn,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let turn = Arc::clone(turn);
        let write = move |connection: &mut Connection| {
            let _turn = turn;
            work(connection)
        };
        self.on(&self.writer, write).await
    }

    /// Writes, and then shows what was written, also if the caller has stopped waiting: the next
    /// call of `follow` goes on from what is shown.
    async fn write_and_show<T: Send + 'static>(
        &self,
        turn: &Turn,
        state: State,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let show = self.shower(state);
        let write = move |connection: &mut Connection| {
            let done = work(connection)?;
            show();
            Ok(done)
        };
        self.write(turn, write).await
    }

    /// Shows a state, for which the store was there just now.
    fn shower(&self, state: State) -> impl FnOnce() + Send + 'static {
        let (present, clock) = (self.present.clone(), Arc::clone(&self.clock));
        move || {
            let contact = Some(clock.monotonic());
            present.send_replace(Some(Present { state, contact }));
        }
    }

    /// A random moment in the next `compare_within`.
    fn some_time_later(&self) -> Duration {
        let within = self.options.compare_within.as_millis().max(1);
        let delay = uuid::Uuid::new_v4().as_u128() % within;
        let delay = Duration::from_millis(u64::try_from(delay).unwrap_or(u64::MAX));
        self.clock.monotonic() + delay
    }
}
