//! A copy of a store in a file of the node: for reads, boot and login while the store has no
//! majority, and to restore it if all members are lost.
//!
//! ```text
//!   a store ── watch, from the copy's revision ──► follow ──► replica.db ──► get, list
//!           ── list, where the watch cannot go on,
//!              and some time after it was interrupted ──►
//! ```
//!
//! **Invariants.** The file shows the whole of one store at one revision, always, also after the
//! process was killed: a commit is one transaction, and a new list is put together beside the old
//! content and then replaces it in one. Only `follow` writes. A power failure costs at most the commits
//! of the last `probe_interval`, which come again.
//!
//! A replica does not trust that a watch misses nothing: etcd 3.4 can lose events when it resumes
//! at a compaction. So it compares itself with the store after each interruption, entry by entry,
//! since no store can compute a hash of its content.

mod follow;
mod tables;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use model::{Clock, UnixTime};
use rusqlite::Connection;
use tokio::sync::watch;

use self::tables::State;
use crate::sqlite::DataFile;
use crate::{Entry, Key, Page, PageToken, Prefix, Revision, StoreError};

/// What a replica shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The id of the store that it is a copy of.
    pub store: String,
    /// Everything up to here is in it.
    pub revision: Revision,
    /// The time since the store last reported a change or answered a linear read. The replica lacks
    /// what was committed since then, and what was on its way then.
    pub age: Duration,
}

/// Times of a replica. `ReplicaOptions::default` has the usual ones.
#[derive(Debug, Clone)]
pub struct ReplicaOptions {
    /// How often the store is asked whether it has a majority, which keeps the age small.
    pub probe_interval: Duration,
    /// After an interruption the replica is compared with the store within this time, at a random
    /// moment, so that the replicas of all nodes do not read the store at once.
    pub compare_within: Duration,
    /// The pause after the store could not be read.
    pub retry_pause: Duration,
}

impl Default for ReplicaOptions {
    fn default() -> Self {
        Self {
            probe_interval: Duration::from_secs(5),
            compare_within: Duration::from_secs(60),
            retry_pause: Duration::from_secs(1),
        }
    }
}

/// See the module. Every method may be called from any task; none blocks the thread.
pub struct Replica {
    file: Arc<DataFile>,
    writer: Arc<Mutex<Connection>>,
    reader: Arc<Mutex<Connection>>,
    options: ReplicaOptions,
    clock: Arc<dyn Clock>,
    /// None before the first copy is complete.
    present: watch::Sender<Option<Present>>,
    following: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Present {
    state: State,
    /// When the store last answered, on the monotonic clock; none before it did so in this process.
    contact: Option<Duration>,
}

impl Replica {
    /// Opens the replica at `path`, creating an empty one if there is none; its directory must
    /// exist. Blocks while it opens the file.
    ///
    /// `Unavailable` when another process has it open, when the file is not a replica or one of a
    /// newer version, or when it cannot be read. A replica that cannot be opened can be deleted.
    pub fn open(path: impl AsRef<Path>, clock: Arc<dyn Clock>) -> Result<Self, StoreError> {
        Self::open_with(path, clock, ReplicaOptions::default())
    }

    /// Like `open`, with options.
    pub fn open_with(
        path: impl AsRef<Path>,
        clock: Arc<dyn Clock>,
        options: ReplicaOptions,
    ) -> Result<Self, StoreError> {
        let path = path.as_ref();
        let file = DataFile::open(path)?;
        let writer = tables::connect(file.path());
        let writer = writer.map_err(|text| unusable(path, &text))?;
        Self::of(file, writer, clock, options)
    }

    /// Like `open`, but a file that is not a replica of this version is replaced by an empty one.
    pub fn open_or_replace(
        path: impl AsRef<Path>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, StoreError> {
        let path = path.as_ref();
        let file = DataFile::open(path)?;
        let writer = match tables::connect(file.path()) {
            Ok(writer) => writer,
            Err(reason) => {
                tracing::warn!(path = %path.display(), reason, "the replica begins anew");
                let file = file.replace()?;
                let writer = tables::connect(file.path());
                let writer = writer.map_err(|text| unusable(path, &text))?;
                return Self::of(file, writer, clock, ReplicaOptions::default());
            }
        };
        Self::of(file, writer, clock, ReplicaOptions::default())
    }

    fn of(
        file: DataFile,
        writer: Connection,
        clock: Arc<dyn Clock>,
        options: ReplicaOptions,
    ) -> Result<Self, StoreError> {
        let failed = |text: String| unusable(file.path(), &text);
        file.make_private()?;
        let reader = tables::connect(file.path()).map_err(failed)?;
        let state = tables::state(&reader).map_err(|error| failed(error.to_string()))?;
        let present = state.map(|state| Present {
            state,
            contact: None,
        });
        Ok(Self {
            file: Arc::new(file),
            writer: Arc::new(Mutex::new(writer)),
            reader: Arc::new(Mutex::new(reader)),
            options,
            clock,
            present: watch::Sender::new(present),
            following: Arc::default(),
        })
    }

    /// Waits for a write in progress and closes the file, which can then be opened again. A replica
    /// that is dropped closes it after that write, too.
    pub async fn close(self) {
        // It writes nothing, so it has no error that matters.
        let _ = self.on(&self.writer, |_| Ok(())).await;
    }

    /// What the replica shows; none before the first copy is complete.
    pub fn standing(&self) -> Option<Standing> {
        let present = self.present.borrow().clone()?;
        Some(self.standing_of(present.state, present.contact))
    }

    /// Waits until the replica is a copy of the store `id` at this revision or a later one. Without
    /// limit, also for a store that is not followed any more.
    pub async fn reached(&self, id: &str, revision: Revision) {
        let is_there = |present: &Option<Present>| {
            let state = present.as_ref().map(|present| &present.state);
            state.is_some_and(|state| state.store == id && state.revision >= revision)
        };
        let mut changes = self.present.subscribe();
        let waited = changes.wait_for(is_there).await;
        waited.expect("the replica itself keeps the sender");
    }

    /// Reads one key. `Unavailable` before the first copy is complete, or where the file cannot be
    /// read.
    pub async fn get(&self, key: &Key) -> Result<(Option<Entry>, Standing), StoreError> {
        let key = key.clone();
        self.read(move |sql| tables::get(sql, &key)).await
    }

    /// Reads all keys below `prefix`, in the order of their bytes, at one revision. Errors as `get`.
    pub async fn list(&self, prefix: &Prefix) -> Result<(Vec<Entry>, Standing), StoreError> {
        let prefix = prefix.clone();
        self.read(move |sql| tables::list(sql, &prefix)).await
    }

    /// Reads one page of all keys below `prefix`. `Compacted` where `from` is of another revision
    /// than the replica shows now; other errors as `get`.
    pub async fn page(
        &self,
        prefix: &Prefix,
        from: Option<PageToken>,
    ) -> Result<(Page, Standing), StoreError> {
        let (prefix, begun) = (prefix.clone(), from.as_ref().map(|token| token.revision));
        let read = move |sql: &Connection| tables::page(sql, &prefix, from.as_ref());
        let ((page, more), standing) = self.read(read).await?;
        if begun.is_some_and(|begun| begun != standing.revision) {
            let oldest = standing.revision;
            return Err(StoreError::Compacted { oldest });
        }
        Ok((page.finish(standing.revision, more), standing))
    }

    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<(T, Standing), StoreError> {
        let found = self.on(&self.reader, |connection| {
            let transaction = connection.transaction()?;
            Ok((tables::state(&transaction)?, read(&transaction)?))
        });
        let (state, value) = found.await?;
        let empty = || StoreError::Unavailable("the replica has no copy yet".to_owned());
        let contact = self.present.borrow().as_ref().and_then(|p| p.contact);
        Ok((value, self.standing_of(state.ok_or_else(empty)?, contact)))
    }

    fn standing_of(&self, state: State, contact: Option<Duration>) -> Standing {
        let since_wall = || {
            let passed = self.clock.wall().saturating_sub(state.contact);
            Duration::from_secs(u64::try_from(passed).unwrap_or(0))
        };
        let since = |contact| self.clock.monotonic().saturating_sub(contact);
        Standing {
            age: contact.map_or_else(since_wall, since),
            store: state.store,
            revision: state.revision,
        }
    }

    /// Runs `work` on a thread that may block. It runs to its end also if the caller stops waiting,
    /// and keeps the file until then.
    async fn on<T: Send + 'static>(
        &self,
        connection: &Arc<Mutex<Connection>>,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (connection, file) = (Arc::clone(connection), Arc::clone(&self.file));
        let run = move || {
            // A panic leaves a transaction that is rolled back.
            let mut connection = connection.lock().unwrap_or_else(PoisonError::into_inner);
            // Dropped before the connection is free again, see `close`.
            let _file = file;
            work(&mut connection)
        };
        let path = self.file.path().display();
        let failed =
            |error: &dyn std::fmt::Display| StoreError::Unavailable(format!("{path}: {error}"));
        match tokio::task::spawn_blocking(run).await {
            Ok(done) => done.map_err(|error| failed(&error)),
            Err(panic) => Err(failed(&panic)),
        }
    }

    fn now(&self) -> UnixTime {
        self.clock.wall()
    }
}

fn unusable(path: &Path, text: &str) -> StoreError {
    StoreError::Unavailable(format!("{}: {text}", path.display()))
}
