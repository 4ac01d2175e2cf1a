//! The tables, and how a file is recognised.
//!
//! `version` has a row for every value that a key had. A row is valid from its `revision` until
//! before its `ended`; the row without `ended` is the current value. A deletion is a row without
//! value that ended at its own revision, so that watches see it and lists do not. The map at
//! revision r is thus `revision <= r AND (ended IS NULL OR ended > r)`, and `ended <= r` can be
//! deleted after a compaction to r.

use std::path::Path;

use rusqlite::{Connection, OpenFlags, TransactionBehavior};
use uuid::Uuid;

use super::failure::{Failure, Result};
use crate::{Revision, StoreError};

/// "OSTL": marks the file as ours.
const APPLICATION_ID: i32 = 0x4f53_544c;
/// Rises with every change of the tables.
const SCHEMA_VERSION: i32 = 1;
/// Of a sealed store: a program that knows of no seals does not open it.
const SEALED_VERSION: i32 = 2;

pub(crate) const PAGE_BYTES: u64 = 4096;

const TABLES: &str = "
    CREATE TABLE meta (
        one       INTEGER PRIMARY KEY CHECK (one = 1),
        id        TEXT NOT NULL,
        revision  INTEGER NOT NULL,
        compacted INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE version (
        number   INTEGER PRIMARY KEY,
        revision INTEGER NOT NULL,
        key      TEXT NOT NULL,
        created  INTEGER NOT NULL,
        lease    INTEGER,
        ended    INTEGER,
        value    BLOB
    ) STRICT;
    CREATE UNIQUE INDEX version_now ON version (key) WHERE ended IS NULL;
    CREATE UNIQUE INDEX version_of_commit ON version (revision, key);
    CREATE INDEX version_of_key ON version (key, revision);
    CREATE INDEX version_ended ON version (ended) WHERE ended IS NOT NULL;
    CREATE INDEX version_of_lease ON version (lease) WHERE ended IS NULL AND lease IS NOT NULL;
    CREATE TABLE lease (
        id     INTEGER PRIMARY KEY,
        ttl_ms INTEGER NOT NULL
    ) STRICT;
";

/// The state of the store in its file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Head {
    /// Random, set when the file was created.
    pub(crate) id: String,
    pub(crate) revision: u64,
    /// The oldest revision that can be listed.
    pub(crate) compacted: u64,
    /// The task that sealed the store.
    pub(crate) sealed_by: Option<String>,
}

impl Head {
    pub(crate) fn read(connection: &Connection) -> rusqlite::Result<Self> {
        let sql = "SELECT id, revision, compacted FROM meta WHERE one = 1";
        connection
            .prepare_cached(sql)?
            .query_row((), |row| {
                let (revision, compacted): (i64, i64) = (row.get(1)?, row.get(2)?);
                let (revision, compacted) = (revision.cast_unsigned(), compacted.cast_unsigned());
                Ok(Self {
                    id: row.get(0)?,
                    revision,
                    compacted,
                    sealed_by: None,
                })
            })
            .and_then(|head| {
                Ok(Self {
                    sealed_by: sealed_by(connection)?,
                    ..head
                })
            })
    }
}

fn sealed_by(connection: &Connection) -> rusqlite::Result<Option<String>> {
    if number(connection, "user_version")? != SEALED_VERSION {
        return Ok(None);
    }
    let mut select = connection.prepare_cached("SELECT by FROM seal")?;
    select.query_row((), |row| row.get(0)).map(Some)
}

/// Part of a transaction.
pub(crate) fn seal(connection: &Connection, by: &str) -> rusqlite::Result<()> {
    connection.execute_batch("CREATE TABLE seal (by TEXT NOT NULL) STRICT")?;
    connection.execute("INSERT INTO seal VALUES (?1)", [by])?;
    connection.pragma_update(None, "user_version", SEALED_VERSION)
}

/// Part of a transaction.
pub(crate) fn unseal(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch("DROP TABLE seal")?;
    connection.pragma_update(None, "user_version", SCHEMA_VERSION)
}

fn number(connection: &Connection, pragma: &str) -> rusqlite::Result<i32> {
    connection.pragma_query_value(None, pragma, |row| row.get(0))
}

/// Opens the connection that writes, creating the tables in an empty file.
pub(crate) fn connect_writer(path: &Path, pages_max: Option<u64>) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    let ours = recognise(&connection)?;
    let mode: String =
        connection.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))?;
    if mode != "wal" {
        let text = format!("the file system of the store allows no write-ahead log, only {mode}");
        return Err(StoreError::Unavailable(text).into());
    }
    // FULL makes every commit wait for the fsync of the log; NORMAL would lose the last ones.
    connection.pragma_update(None, "synchronous", "full")?;
    if let Some(pages) = pages_max {
        limit_pages(&connection, pages)?;
    }
    if !ours {
        create_tables(&mut connection)?;
    }
    Ok(connection)
}

/// Ends the write-ahead log, which is a file of its own; the next start begins another one.
pub(crate) fn put_log_into_file(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update_and_check(None, "journal_mode", "delete", |_| Ok(()))
}

/// Sets the revision of an empty store.
pub(crate) fn begin_at(connection: &Connection, first: Revision) -> rusqlite::Result<()> {
    let revision = first.0.cast_signed();
    let sql = "UPDATE meta SET revision = ?1, compacted = ?1";
    connection.execute(sql, [revision]).map(drop)
}

/// Makes SQLite refuse to let the file grow beyond this. It never goes below the present size.
pub(crate) fn limit_pages(connection: &Connection, pages: u64) -> rusqlite::Result<()> {
    let pages = pages.cast_signed();
    connection.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))
}

/// The page cache of a reader. The kernel caches the file for all of them, so a reader needs little
/// more than the upper pages of its trees; SQLite's default of 2 MiB each would be filled by the
/// first long list and never freed.
const READER_CACHE_KIB: i32 = 256;

pub(crate) fn connect_reader(path: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    // A negative number is KiB, a positive one pages.
    connection.pragma_update(None, "cache_size", -READER_CACHE_KIB)?;
    Ok(connection)
}

/// True for an Ostler store, false for an empty file, else an error that says what the file is.
fn recognise(connection: &Connection) -> Result<bool> {
    let read = |pragma| number(connection, pragma);
    let (application, version) = match (read("application_id"), read("user_version")) {
        (Ok(application), Ok(version)) => (application, version),
        (Err(error), _) | (_, Err(error)) => return Err(unreadable(&error)),
    };
    if application == APPLICATION_ID && [SCHEMA_VERSION, SEALED_VERSION].contains(&version) {
        return Ok(true);
    }
    if application == APPLICATION_ID {
        let text = format!(
            "the store has format {version}, this program knows formats up to {SEALED_VERSION}"
        );
        return Err(StoreError::Unavailable(text).into());
    }
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", (), |row| row.get(0))?;
    if tables > 0 || application != 0 || version != 0 {
        let text = "the file is a database of another program, not a store".to_owned();
        return Err(StoreError::Unavailable(text).into());
    }
    Ok(false)
}

fn unreadable(error: &rusqlite::Error) -> Failure {
    StoreError::Unavailable(format!("the file is not a readable store: {error}")).into()
}

fn create_tables(connection: &mut Connection) -> Result<()> {
    // In one transaction, so that an interrupted creation leaves an empty file.
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute_batch(TABLES)?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    let id = Uuid::new_v4().to_string();
    transaction.execute("INSERT INTO meta VALUES (1, ?1, 0, 0)", [id])?;
    transaction.commit()?;
    Ok(())
}
