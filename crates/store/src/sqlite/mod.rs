//! The store of one machine: an SQLite file, no server.
//!
//! ```text
//!   tasks ──► queue ──► writer thread ──► state.db   one transaction, one fsync, many commits
//!         ──► jobs  ──► reader threads ─►            each read at one moment
//!   watches ◄── recent commits in memory, else from state.db
//! ```
//!
//! **Invariants.** One process has the file open (`file`). An answer is given after the fsync. A
//! commit whose outcome is unknown stops the store until it is opened again, because only then is
//! it decided (`failure`). A process that finds the file replaced does not write to it.

mod apply;
mod failure;
mod file;
mod queue;
mod read;
mod schema;
#[cfg(test)]
mod tests;
mod watch;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use async_trait::async_trait;
use model::Clock;
use rusqlite::Connection;
use tokio::runtime::Handle;
use tokio::sync::{Notify, oneshot};

use self::apply::Work;
use self::failure::Failure;
pub(crate) use self::file::DataFile;
use self::queue::Queue;
pub(crate) use self::read::{entry, key};
use self::schema::Head;
use self::writer::{Request, Writer};
use crate::expiry::{self, Expires, ExpiryTask};
use crate::leases::Leases;
use crate::recent::{Keep, Recent};
use crate::{
    Changes, Commit, Entry, Key, LeaseId, Page, PageToken, Prefix, Read, Revision, Store,
    StoreError, Watch, check,
};

/// Options of a store.
#[derive(Debug, Clone)]
pub struct SqliteOptions {
    /// At least this many past revisions can be listed and watched from. Older ones are dropped
    /// gradually with later commits.
    pub kept_revisions: u64,
    /// The maximum size of the file; a commit beyond it is answered with `Full`.
    pub size_limit_bytes: Option<u64>,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self {
            kept_revisions: 10_000,
            size_limit_bytes: None,
        }
    }
}

/// The commits that watches read from memory; older ones come from the file.
const RECENT: Keep = Keep {
    revisions: 1000,
    bytes: 16 << 20,
};

/// See the module. Dropping it waits for the commit in progress and closes the file; watches then
/// end with `Unavailable`.
pub struct SqliteStore {
    core: Arc<Core>,
    id: String,
    path: PathBuf,
    expiry: Option<ExpiryTask>,
    threads: Vec<JoinHandle<()>>,
}

/// Shared by the store, its threads, its watches and the expiry task.
struct Core {
    state: Mutex<State>,
    leases: Mutex<Leases>,
    /// Wakes the watches.
    news: tokio::sync::watch::Sender<()>,
    queue: Queue<Request>,
    jobs: Queue<read::Job>,
    clock: Arc<dyn Clock>,
    lease_added: Arc<Notify>,
    /// How many callers stopped waiting for the writer, and how many of their requests are
    /// finished.
    left: AtomicU64,
    settled: AtomicU64,
    #[cfg(test)]
    fault: Mutex<Fault>,
}

struct State {
    recent: Recent,
    stopped: Option<Stopped>,
}

/// Why the store stopped.
#[derive(Clone)]
struct Stopped {
    to_verbs: StoreError,
    to_watches: StoreError,
}

/// Where a test makes the writer's thread panic.
#[cfg(test)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    BeforeCommit,
    AfterCommit,
}

impl SqliteStore {
    /// Opens the store at `path`, creating it if there is none; its directory must exist. Blocks
    /// while it reads the file. Must be called inside a tokio runtime, which ends the leases.
    ///
    /// `Unavailable` when another process has it open, when the file is not a store or one of a
    /// newer version, or when it cannot be read.
    pub fn open(path: impl AsRef<Path>, clock: Arc<dyn Clock>) -> Result<Self, StoreError> {
        Self::open_with(path, clock, &SqliteOptions::default())
    }

    /// Like `open`, with options.
    pub fn open_with(
        path: impl AsRef<Path>,
        clock: Arc<dyn Clock>,
        options: &SqliteOptions,
    ) -> Result<Self, StoreError> {
        let path = path.as_ref();
        let at_path = |failure: Failure| match failure.into_store_error() {
            StoreError::Unavailable(text) => {
                StoreError::Unavailable(format!("{}: {text}", path.display()))
            }
            other => other,
        };
        let file = DataFile::open(path)?;
        Self::open_file(file, clock, options).map_err(at_path)
    }

    /// Makes an empty store at `path`, in place of whatever is there, that begins at revision `first`.
    ///
    /// Errors are those of `open`.
    pub fn create(
        path: impl AsRef<Path>,
        clock: Arc<dyn Clock>,
        first: Revision,
    ) -> Result<Self, StoreError> {
        let path = path.as_ref();
        let file = DataFile::open(path)?.replace()?;
        let made = schema::connect_writer(file.path(), None)
            .and_then(|connection| Ok(schema::begin_at(&connection, first)?));
        made.map_err(|failure| failure.into_store_error())?;
        let opened = Self::open_file(file, clock, &SqliteOptions::default());
        opened.map_err(|failure| failure.into_store_error())
    }

    fn open_file(
        file: DataFile,
        clock: Arc<dyn Clock>,
        options: &SqliteOptions,
    ) -> failure::Result<Self> {
        let runtime =
            Handle::try_current().map_err(|error| StoreError::Unavailable(error.to_string()))?;
        let pages_max = options
            .size_limit_bytes
            .map(|bytes| (bytes / schema::PAGE_BYTES).max(1));
        let connection = schema::connect_writer(file.path(), pages_max)?;
        file.make_private()?;
        let head = Head::read(&connection)?;
        let leases = read_leases(&connection, clock.monotonic())?;
        let core = Arc::new(Core::new(&head, leases, clock, options));
        let mut store = Self {
            core,
            id: head.id.clone(),
            path: file.path().to_owned(),
            expiry: None,
            threads: Vec::new(),
        };
        store.threads = read::start(&store.core, file.path())?;
        let (kept, core) = (options.kept_revisions, Arc::clone(&store.core));
        let writer = Writer {
            connection,
            file,
            head,
            kept,
            pages_max,
            core,
        };
        let thread = thread::Builder::new().name("store-write".to_owned());
        let thread = thread.spawn(move || writer.run());
        store
            .threads
            .push(thread.map_err(|e| StoreError::Unavailable(e.to_string()))?);
        let core = &store.core;
        let (clock, added) = (Arc::clone(&core.clock), Arc::clone(&core.lease_added));
        store.expiry = Some(expiry::start(&runtime, Arc::downgrade(core), clock, added));
        Ok(store)
    }

    /// Closes the store and leaves all of it in its one file, which can be moved then. Blocks.
    pub fn close(self) -> Result<(), StoreError> {
        let path = self.path.clone();
        drop(self);
        let file = DataFile::open(&path)?;
        let closed = schema::connect_writer(file.path(), None)
            .and_then(|connection| Ok(schema::put_log_into_file(&connection)?));
        closed.map_err(|failure| failure.into_store_error())
    }

    /// The random id of the file. Two stores with the same revisions and different ids are
    /// different stores.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Refuses every change from now on, also after a restart, so that the content can be moved to
    /// another store. `by` names the task that does so; another task's seal is `Unavailable`.
    /// Returns the last revision. May be repeated.
    pub async fn seal(&self, by: &str) -> Result<Revision, StoreError> {
        let by = by.to_owned();
        self.core.write(Work::Seal { by }).await.map(Revision)
    }

    /// Accepts changes again. May be repeated.
    pub async fn unseal(&self) -> Result<(), StoreError> {
        self.core.write(Work::Unseal).await.map(drop)
    }

    /// The task that sealed the store.
    pub async fn sealed_by(&self) -> Result<Option<String>, StoreError> {
        read::run(&self.core.jobs, |sql| Ok(Head::read(sql)?.sealed_by)).await
    }
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        self.expiry.take();
        let closed = StoreError::Unavailable("the store was closed".to_owned());
        self.core.stop(closed.clone(), closed);
        self.core.jobs.close();
        self.core.queue.close();
        // The file can be opened again only once the threads have ended.
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread of the store had panicked");
            }
        }
    }
}

/// The leases of the file, each with its full time again, since it is unknown how much has passed.
fn read_leases(connection: &Connection, now: Duration) -> failure::Result<Leases> {
    let mut leases = Leases::default();
    let mut select = connection.prepare("SELECT id, ttl_ms FROM lease")?;
    let mut rows = select.query(())?;
    while let Some(row) = rows.next()? {
        let (id, ttl_ms): (i64, i64) = (row.get(0)?, row.get(1)?);
        let ttl = Duration::from_millis(ttl_ms.cast_unsigned());
        leases.add(LeaseId(id.cast_unsigned()), ttl, now);
    }
    Ok(leases)
}

impl Core {
    fn new(head: &Head, leases: Leases, clock: Arc<dyn Clock>, options: &SqliteOptions) -> Self {
        let revisions = RECENT.revisions.min(options.kept_revisions);
        let recent = Recent::new(
            Revision(head.revision),
            Keep {
                revisions,
                ..RECENT
            },
        );
        Self {
            state: Mutex::new(State {
                recent,
                stopped: None,
            }),
            leases: Mutex::new(leases),
            news: tokio::sync::watch::Sender::new(()),
            queue: Queue::new(),
            jobs: Queue::new(),
            clock,
            lease_added: Arc::new(Notify::new()),
            left: AtomicU64::new(0),
            settled: AtomicU64::new(0),
            #[cfg(test)]
            fault: Mutex::new(Fault::None),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .expect("no one panics while holding the state")
    }

    fn leases(&self) -> MutexGuard<'_, Leases> {
        self.leases
            .lock()
            .expect("no one panics while holding the leases")
    }

    fn check(&self) -> Result<(), StoreError> {
        self.state()
            .stopped
            .as_ref()
            .map_or(Ok(()), |stopped| Err(stopped.to_verbs.clone()))
    }

    /// Stops the store. The first reason is kept.
    fn stop(&self, to_verbs: StoreError, to_watches: StoreError) {
        self.state().stopped.get_or_insert(Stopped {
            to_verbs,
            to_watches,
        });
        self.news.send_replace(());
    }

    fn next_after(
        &self,
        prefix: &Prefix,
        position: &mut Revision,
    ) -> Result<Option<Changes>, StoreError> {
        let state = self.state();
        match &state.stopped {
            Some(stopped) => Err(stopped.to_watches.clone()),
            None => state.recent.next_after(prefix, position),
        }
    }

    /// Sends a request to the writer and waits until it is durable.
    async fn write(&self, work: Work) -> Result<u64, StoreError> {
        self.check()?;
        let (reply, answer) = oneshot::channel();
        self.queue.push(Request { work, reply })?;
        let lost = || StoreError::Unknown("the store's writer ended without an answer".to_owned());
        let waiting = Waiting(&self.left);
        let answer = answer.await.unwrap_or_else(|_| Err(lost()));
        std::mem::forget(waiting);
        answer
    }

    /// What a read must wait for: a linear read waits until the writer has finished the requests of
    /// callers who stopped waiting.
    async fn before(&self, read: Read) -> Result<(), StoreError> {
        self.check()?;
        if read == Read::Local {
            return Ok(());
        }
        let left = self.left.load(Ordering::Acquire);
        if self.settled.load(Ordering::Acquire) < left {
            // The writer works in order, and this commit changes nothing.
            self.write(Work::Commit(Commit::new())).await?;
            self.settled.fetch_max(left, Ordering::AcqRel);
        }
        Ok(())
    }

    #[cfg(test)]
    fn fault(&self) -> Fault {
        *self.fault.lock().unwrap()
    }
}

/// A caller that waits for the writer. Dropping it counts as giving up.
struct Waiting<'a>(&'a AtomicU64);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }
}

#[async_trait]
impl Expires for Core {
    async fn end_due(&self) -> Result<(), StoreError> {
        if self.check().is_err() {
            // A stopped store cannot end a lease, so retrying is useless.
            return Ok(());
        }
        let due = self.leases().due(self.clock.monotonic());
        for lease in due {
            self.write(Work::End {
                lease,
                revoked: false,
            })
            .await?;
        }
        Ok(())
    }

    fn next_deadline(&self) -> Option<Duration> {
        self.check()
            .ok()
            .and_then(|()| self.leases().next_deadline())
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn get(&self, key: &Key, read: Read) -> Result<(Option<Entry>, Revision), StoreError> {
        self.core.before(read).await?;
        let key = key.clone();
        read::run(&self.core.jobs, move |sql| read::get(sql, &key)).await
    }

    async fn list(
        &self,
        prefix: &Prefix,
        from: Option<PageToken>,
        read: Read,
    ) -> Result<Page, StoreError> {
        self.core.before(read).await?;
        let prefix = prefix.clone();
        read::run(&self.core.jobs, move |sql| read::page(sql, &prefix, from)).await
    }

    async fn commit(&self, commit: Commit) -> Result<Revision, StoreError> {
        check::commit(&commit)?;
        self.core.write(Work::Commit(commit)).await.map(Revision)
    }

    async fn watch(&self, prefix: &Prefix, after: Revision) -> Result<Box<dyn Watch>, StoreError> {
        self.core.check()?;
        let head = read::run(&self.core.jobs, |sql| Ok(Head::read(sql)?)).await?;
        if after.0 < head.compacted {
            return Err(StoreError::Compacted {
                oldest: Revision(head.compacted),
            });
        }
        if after.0 > head.revision {
            return Err(StoreError::Moved);
        }
        Ok(Box::new(watch::SqliteWatch::new(
            Arc::clone(&self.core),
            prefix.clone(),
            after,
        )))
    }

    async fn grant(&self, ttl: Duration) -> Result<LeaseId, StoreError> {
        check::lease_ttl(ttl)?;
        self.core.write(Work::Grant { ttl }).await.map(LeaseId)
    }

    async fn renew(&self, lease: LeaseId) -> Result<(), StoreError> {
        self.core.check()?;
        self.core.leases().renew(lease, self.core.clock.monotonic())
    }

    async fn revoke(&self, lease: LeaseId) -> Result<(), StoreError> {
        self.core
            .write(Work::End {
                lease,
                revoked: true,
            })
            .await
            .map(drop)
    }
}
