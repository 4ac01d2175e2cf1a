//! Reads, on connections and threads of their own, so that no reader waits for the writer.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row};
use tokio::sync::oneshot;

use super::Core;
use super::failure::Result;
use super::queue::Queue;
use super::schema::{self, Head};
use crate::history::PageBuilder;
use crate::{Change, Changes, Entry, Key, LeaseId, Page, PageToken, Prefix, Revision, StoreError};

pub(crate) type Job = Box<dyn FnOnce(&mut Connection) + Send>;

/// Enough that one long list does not delay every small read.
const THREADS: usize = 3;

pub(crate) fn start(core: &Arc<Core>, path: &Path) -> Result<Vec<JoinHandle<()>>> {
    let start_one = |number: usize| {
        let mut connection = schema::connect_reader(path)?;
        let core = Arc::clone(core);
        let serve = move || {
            let _last_words = LastWords(&core);
            while let Some(jobs) = core.jobs.take(1) {
                jobs.into_iter().for_each(|job| job(&mut connection));
            }
        };
        let thread = thread::Builder::new()
            .name(format!("store-read-{number}"))
            .spawn(serve);
        thread.map_err(|error| StoreError::Unavailable(error.to_string()).into())
    };
    (0..THREADS).map(start_one).collect()
}

/// When a reader ends, for any reason, its callers are answered: dropping a job answers it.
struct LastWords<'a>(&'a Core);

impl Drop for LastWords<'_> {
    fn drop(&mut self) {
        self.0.jobs.abandon();
    }
}

/// Runs `read` on a reader's thread, at one revision of the store.
pub(crate) async fn run<T: Send + 'static>(
    jobs: &Queue<Job>,
    read: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
) -> std::result::Result<T, StoreError> {
    let (reply, answer) = oneshot::channel();
    jobs.push(Box::new(move |connection| {
        let result = connection
            .transaction()
            .map_err(Into::into)
            .and_then(|tx| read(&tx));
        // The caller may have stopped waiting.
        let _ = reply.send(result);
    }))?;
    match answer.await {
        Ok(result) => result.map_err(super::failure::Failure::into_store_error),
        Err(_) => Err(StoreError::Unavailable(
            "a reader of the store ended".to_owned(),
        )),
    }
}

const COLUMNS: &str = "key, value, created, revision, lease";

/// The columns key, value, revision of creation, of modification, and lease.
pub(crate) fn entry(row: &Row<'_>) -> rusqlite::Result<Entry> {
    let number = |column| row.get::<_, i64>(column).map(i64::cast_unsigned);
    Ok(Entry {
        key: key(row)?,
        value: row.get(1)?,
        created: Revision(number(2)?),
        modified: Revision(number(3)?),
        lease: row
            .get::<_, Option<i64>>(4)?
            .map(|id| LeaseId(id.cast_unsigned())),
    })
}

/// The first column as a key.
pub(crate) fn key(row: &Row<'_>) -> rusqlite::Result<Key> {
    let invalid = |error| rusqlite::Error::FromSqlConversionFailure(0, Type::Text, error);
    Key::new(row.get::<_, String>(0)?).map_err(|error| invalid(Box::new(error)))
}

pub(crate) fn get(connection: &Connection, key: &Key) -> Result<(Option<Entry>, Revision)> {
    let sql = format!("SELECT {COLUMNS} FROM version WHERE key = ?1 AND ended IS NULL");
    let mut statement = connection.prepare_cached(&sql)?;
    let found = statement.query_row([key.as_str()], entry).optional()?;
    Ok((found, Revision(Head::read(connection)?.revision)))
}

pub(crate) fn page(
    connection: &Connection,
    prefix: &Prefix,
    from: Option<PageToken>,
) -> Result<Page> {
    let head = Head::read(connection)?;
    let revision = from
        .as_ref()
        .map_or(head.revision, |token| token.revision.0);
    if revision < head.compacted {
        return Err(StoreError::Compacted {
            oldest: Revision(head.compacted),
        }
        .into());
    }
    if revision > head.revision {
        return Err(StoreError::Moved.into());
    }
    let after = from
        .as_ref()
        .map_or("", |token| token.after.as_str())
        .max(prefix.as_str());
    // The newest revision has an index of its own, whose size does not depend on the history.
    let seen = if revision == head.revision {
        "ended IS NULL AND ?2 = ?2"
    } else {
        "revision <= ?2 AND (ended IS NULL OR ended > ?2)"
    };
    let sql = format!("SELECT {COLUMNS} FROM version WHERE key > ?1 AND {seen} ORDER BY key");
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query((after, revision.cast_signed()))?;
    let mut page = PageBuilder::default();
    while let Some(row) = rows.next()? {
        if !prefix.contains(&key(row)?) {
            break;
        }
        if page.is_full() {
            return Ok(page.finish(Revision(revision), true));
        }
        page.push(entry(row)?);
    }
    Ok(page.finish(Revision(revision), false))
}

/// Commits that a watch has not yet reported.
pub(crate) struct Backlog {
    pub(crate) commits: VecDeque<Changes>,
    /// The commits are complete up to this revision.
    pub(crate) position: Revision,
}

/// How many changes a late watch takes at a time. A commit is never cut.
const BACKLOG_CHANGES: usize = 500;
const BACKLOG_BYTES: usize = 1 << 20;

/// The commits below `prefix` after a revision, in order; the first of them if they are many.
pub(crate) fn backlog(
    connection: &Connection,
    prefix: &Prefix,
    after: Revision,
) -> Result<Backlog> {
    let head = Head::read(connection)?;
    if after.0 < head.compacted {
        return Err(StoreError::Compacted {
            oldest: Revision(head.compacted),
        }
        .into());
    }
    let sql = format!("SELECT {COLUMNS} FROM version WHERE revision > ?1 ORDER BY revision, key");
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query([after.0.min(head.revision).cast_signed()])?;
    let mut commits: VecDeque<Changes> = VecDeque::new();
    let (mut count, mut bytes) = (0, 0);
    while let Some(row) = rows.next()? {
        if !prefix.contains(&key(row)?) {
            continue;
        }
        let revision = Revision(row.get::<_, i64>(3)?.cast_unsigned());
        let last = commits.back().map(|changes| changes.revision);
        if last != Some(revision) {
            if let Some(position) = last
                && (count >= BACKLOG_CHANGES || bytes >= BACKLOG_BYTES)
            {
                return Ok(Backlog { commits, position });
            }
            commits.push_back(Changes {
                revision,
                changes: Vec::new(),
            });
        }
        let change = change(row, revision)?;
        count += 1;
        bytes += if let Change::Put(entry) = &change {
            entry.value.len()
        } else {
            0
        };
        commits
            .back_mut()
            .expect("one was pushed for this revision")
            .changes
            .push(change);
    }
    Ok(Backlog {
        commits,
        position: Revision(head.revision).max(after),
    })
}

fn change(row: &Row<'_>, revision: Revision) -> rusqlite::Result<Change> {
    if row.get_ref(1)?.data_type() == Type::Null {
        return Ok(Change::Delete {
            key: key(row)?,
            revision,
        });
    }
    entry(row).map(Change::Put)
}
