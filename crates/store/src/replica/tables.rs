//! The file of a replica.
//!
//! `entry` is the content. `arriving` has the differences of a list that is being read, until they
//! are applied at once; a row without value is a deletion.

use std::path::Path;

use model::UnixTime;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior};

use crate::history::PageBuilder;
use crate::sqlite::{entry, key};
use crate::{Change, Changes, Entry, Key, PageToken, Prefix, Revision};

/// "OSTR": marks the file as ours.
const APPLICATION_ID: i32 = 0x4f53_5452;
/// Rises with every change of the tables.
const SCHEMA_VERSION: i32 = 1;

const TABLES: &str = "
    CREATE TABLE copy (
        one      INTEGER PRIMARY KEY CHECK (one = 1),
        store    TEXT NOT NULL,
        revision INTEGER NOT NULL,
        contact  INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE entry (
        key      TEXT PRIMARY KEY,
        value    BLOB NOT NULL,
        created  INTEGER NOT NULL,
        modified INTEGER NOT NULL,
        lease    INTEGER
    ) STRICT;
    CREATE TABLE arriving (
        key      TEXT PRIMARY KEY,
        value    BLOB,
        created  INTEGER,
        modified INTEGER,
        lease    INTEGER
    ) STRICT;
";

const COLUMNS: &str = "key, value, created, modified, lease";

/// What the content is a copy of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) store: String,
    pub(crate) revision: Revision,
    /// When the store was known to be there.
    pub(crate) contact: UnixTime,
}

/// Opens the file, creating the tables in an empty one. The error has no path.
pub(crate) fn connect(path: &Path) -> Result<Connection, String> {
    let open = || -> rusqlite::Result<_> {
        let connection = Connection::open(path)?;
        connection.pragma_update(None, "trusted_schema", false)?;
        let number = |pragma| connection.pragma_query_value(None, pragma, |row| row.get(0));
        let (application, version): (i32, i32) =
            (number("application_id")?, number("user_version")?);
        let tables: i64 =
            connection.query_row("SELECT count(*) FROM sqlite_schema", (), |row| row.get(0))?;
        Ok((connection, application, version, tables))
    };
    let unreadable = |error: rusqlite::Error| format!("the file is not a replica: {error}");
    let (mut connection, application, version, tables) = open().map_err(unreadable)?;
    match (application, version, tables) {
        (APPLICATION_ID, SCHEMA_VERSION, _) => {}
        (0, 0, 0) => create(&mut connection).map_err(unreadable)?,
        (APPLICATION_ID, ..) => {
            return Err(format!(
                "the replica has format {version}, this program knows formats up to {SCHEMA_VERSION}"
            ));
        }
        _ => return Err("the file is a database of another program, not a replica".to_owned()),
    }
    // A lost commit comes again, so none waits for an fsync (see `keep`).
    connection
        .pragma_update(None, "synchronous", "normal")
        .map_err(unreadable)?;
    Ok(connection)
}

fn create(connection: &mut Connection) -> rusqlite::Result<()> {
    connection.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute_batch(TABLES)?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    transaction.commit()
}

/// None before the first copy is complete.
pub(crate) fn state(connection: &Connection) -> rusqlite::Result<Option<State>> {
    connection
        .prepare_cached("SELECT store, revision, contact FROM copy")?
        .query_row((), |row| {
            Ok(State {
                store: row.get(0)?,
                revision: Revision(row.get::<_, i64>(1)?.cast_unsigned()),
                contact: row.get(2)?,
            })
        })
        .optional()
}

fn set_state(connection: &Connection, state: &State) -> rusqlite::Result<()> {
    let sql = "INSERT OR REPLACE INTO copy VALUES (1, ?1, ?2, ?3)";
    let revision = state.revision.0.cast_signed();
    connection
        .prepare_cached(sql)?
        .execute((&state.store, revision, state.contact))?;
    Ok(())
}

pub(crate) fn get(connection: &Connection, key: &Key) -> rusqlite::Result<Option<Entry>> {
    let sql = format!("SELECT {COLUMNS} FROM entry WHERE key = ?1");
    let mut select = connection.prepare_cached(&sql)?;
    select.query_row([key.as_str()], entry).optional()
}

pub(crate) fn list(connection: &Connection, prefix: &Prefix) -> rusqlite::Result<Vec<Entry>> {
    let sql = format!("SELECT {COLUMNS} FROM entry WHERE key > ?1 ORDER BY key");
    let mut select = connection.prepare_cached(&sql)?;
    let mut rows = select.query([prefix.as_str()])?;
    let mut entries = Vec::new();
    while let Some(row) = rows.next()? {
        if !prefix.contains(&key(row)?) {
            break;
        }
        entries.push(entry(row)?);
    }
    Ok(entries)
}

/// The next page of a list, and whether more follows.
pub(crate) fn page(
    connection: &Connection,
    prefix: &Prefix,
    from: Option<&PageToken>,
) -> rusqlite::Result<(PageBuilder, bool)> {
    let after = from.map_or("", |token| token.after.as_str());
    let sql = format!("SELECT {COLUMNS} FROM entry WHERE key > ?1 ORDER BY key");
    let mut select = connection.prepare_cached(&sql)?;
    let mut rows = select.query([after.max(prefix.as_str())])?;
    let mut page = PageBuilder::default();
    while let Some(row) = rows.next()? {
        if !prefix.contains(&key(row)?) {
            break;
        }
        if page.is_full() {
            return Ok((page, true));
        }
        page.push(entry(row)?);
    }
    Ok((page, false))
}

/// Applies one commit of the store.
pub(crate) fn apply(
    connection: &mut Connection,
    changes: &Changes,
    state: &State,
) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for change in &changes.changes {
        match change {
            Change::Put(entry) => put(&transaction, "entry", entry)?,
            Change::Delete { key, .. } => {
                let mut delete = transaction.prepare_cached("DELETE FROM entry WHERE key = ?1")?;
                delete.execute([key.as_str()])?;
            }
        }
    }
    set_state(&transaction, state)?;
    transaction.commit()
}

pub(crate) fn touch(connection: &Connection, contact: UnixTime) -> rusqlite::Result<()> {
    connection.execute("UPDATE copy SET contact = ?1", [contact])?;
    Ok(())
}

fn put(connection: &Connection, table: &str, entry: &Entry) -> rusqlite::Result<()> {
    let sql = format!("INSERT OR REPLACE INTO {table} ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5)");
    connection.prepare_cached(&sql)?.execute((
        entry.key.as_str(),
        &entry.value,
        entry.created.0.cast_signed(),
        entry.modified.0.cast_signed(),
        entry.lease.map(|lease| lease.0.cast_signed()),
    ))?;
    Ok(())
}

/// Drops what an earlier list left.
pub(crate) fn begin_list(connection: &mut Connection) -> rusqlite::Result<()> {
    connection.execute("DELETE FROM arriving", ())?;
    Ok(())
}

/// Compares a part of a list with the content: the keys after `after`, up to `until` or the last
/// one. Keeps the differences.
pub(crate) fn compare(
    connection: &mut Connection,
    arrived: &[Entry],
    after: &str,
    until: Option<&str>,
) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    {
        let sql = format!(
            "SELECT {COLUMNS} FROM entry WHERE key > ?1 AND (?2 IS NULL OR key <= ?2) ORDER BY key"
        );
        let mut select = transaction.prepare_cached(&sql)?;
        let mut rows = select.query((after, until))?;
        let mut arrived = arrived.iter().peekable();
        while let Some(row) = rows.next()? {
            let here = entry(row)?;
            while let Some(entry) = arrived.next_if(|entry| entry.key < here.key) {
                put(&transaction, "arriving", entry)?;
            }
            match arrived.next_if(|entry| entry.key == here.key) {
                Some(entry) if *entry == here => {}
                Some(entry) => put(&transaction, "arriving", entry)?,
                None => {
                    let sql = "INSERT INTO arriving (key) VALUES (?1)";
                    transaction
                        .prepare_cached(sql)?
                        .execute([here.key.as_str()])?;
                }
            }
        }
        for entry in arrived {
            put(&transaction, "arriving", entry)?;
        }
    }
    transaction.commit()
}

/// Applies the differences: the content is that of the list now. Returns how many there were.
pub(crate) fn finish_list(connection: &mut Connection, state: &State) -> rusqlite::Result<usize> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute(
        "DELETE FROM entry WHERE key IN (SELECT key FROM arriving WHERE value IS NULL)",
        (),
    )?;
    transaction.execute(
        &format!(
            "INSERT OR REPLACE INTO entry ({COLUMNS})
             SELECT {COLUMNS} FROM arriving WHERE value IS NOT NULL"
        ),
        (),
    )?;
    let differences = transaction.execute("DELETE FROM arriving", ())?;
    set_state(&transaction, state)?;
    transaction.commit()?;
    keep(connection)?;
    Ok(differences)
}

/// Writes what was committed so far to the disk: SQLite by itself waits until its log is long, and a
/// power failure would take all of it.
pub(crate) fn keep(connection: &mut Connection) -> rusqlite::Result<()> {
    connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", (), |_| Ok(()))
}
