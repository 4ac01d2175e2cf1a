//! The statements of one transaction, which holds several commits.

use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension};
use uuid::Uuid;

use super::failure::{Failure, Result};
use super::schema::{self, Head};
use super::{Core, read};
use crate::recent::{Logged, LoggedCommit};
use crate::{Commit, Entry, Key, LeaseId, Precondition, Revision, StoreError, Write, limits};

/// A request to the writer.
#[derive(Debug)]
pub(crate) enum Work {
    /// Answered with the revision.
    Commit(Commit),
    /// Answered with the new lease's number.
    Grant {
        ttl: Duration,
    },
    /// Ends a lease if it has expired, or in any case if it is revoked. Answered with the revision.
    End {
        lease: LeaseId,
        revoked: bool,
    },
    /// Refuses every later change but its undoing. Answered with the revision.
    Seal {
        by: String,
    },
    Unseal,
}

impl Work {
    /// Whether it can only make the store smaller, once old revisions are dropped.
    pub(crate) fn only_deletes(&self) -> bool {
        match self {
            Self::Commit(commit) => commit
                .writes
                .iter()
                .all(|w| matches!(w, Write::Delete { .. })),
            Self::Grant { .. } | Self::Seal { .. } => false,
            Self::End { .. } | Self::Unseal => true,
        }
    }

    /// Whether it can change anything.
    pub(crate) fn writes(&self) -> bool {
        !matches!(self, Self::Commit(commit) if commit.writes.is_empty())
    }
}

/// The effects of a transaction, published only once it is durable.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    pub(crate) revision: u64,
    pub(crate) compacted: u64,
    pub(crate) commits: Vec<LoggedCommit>,
    pub(crate) granted: Vec<(LeaseId, Duration)>,
    pub(crate) ended: Vec<LeaseId>,
    pub(crate) outcomes: Vec<std::result::Result<u64, StoreError>>,
    pub(crate) sealed_by: Option<String>,
}

impl Draft {
    pub(crate) fn new(head: &Head) -> Self {
        Self {
            revision: head.revision,
            compacted: head.compacted,
            sealed_by: head.sealed_by.clone(),
            ..Self::default()
        }
    }

    /// Applies one request. A refusal is an outcome, and comes before the first change.
    pub(crate) fn apply(&mut self, core: &Core, sql: &Connection, work: &Work) -> Result<()> {
        let done = match work {
            Work::Commit(commit) => self.commit(core, sql, commit),
            Work::Grant { ttl } => self.grant(core, sql, *ttl),
            Work::End { lease, revoked } => self.end(core, sql, *lease, *revoked),
            Work::Seal { by } => self.seal(sql, by),
            Work::Unseal => self.unseal(sql),
        };
        self.outcomes.push(match done {
            Err(Failure::Refused(refusal)) => Err(refusal),
            done => Ok(done?),
        });
        Ok(())
    }

    fn check_seal(&self) -> Result<()> {
        match &self.sealed_by {
            None => Ok(()),
            Some(by) => Err(sealed(by).into()),
        }
    }

    /// Sealing a store that the same task has sealed is no error.
    fn seal(&mut self, sql: &Connection, by: &str) -> Result<u64> {
        if self.sealed_by.as_deref() != Some(by) {
            self.check_seal()?;
            schema::seal(sql, by)?;
            self.sealed_by = Some(by.to_owned());
        }
        Ok(self.revision)
    }

    fn unseal(&mut self, sql: &Connection) -> Result<u64> {
        if self.sealed_by.take().is_some() {
            schema::unseal(sql)?;
        }
        Ok(self.revision)
    }

    fn commit(&mut self, core: &Core, sql: &Connection, commit: &Commit) -> Result<u64> {
        for (index, precondition) in commit.preconditions.iter().enumerate() {
            if !holds(sql, precondition)? {
                return Err(StoreError::Conflict { index }.into());
            }
        }
        if !commit.writes.is_empty() {
            self.check_seal()?;
        }
        let leases = core.leases();
        let lost = |write: &Write| match write {
            Write::Put {
                lease: Some(lease), ..
            } => !leases.usable(*lease),
            _ => false,
        };
        if commit.writes.iter().any(lost) {
            return Err(StoreError::LeaseLost.into());
        }
        drop(leases);
        self.write(sql, &commit.writes)
    }

    fn write(&mut self, sql: &Connection, writes: &[Write]) -> Result<u64> {
        let revision = self.revision + 1;
        let mut changes = Vec::new();
        for write in writes {
            let before = supersede(sql, write.key(), revision)?;
            match write {
                Write::Put { key, value, lease } => {
                    let created = Revision(before.unwrap_or(revision));
                    let (key, value) = (key.clone(), value.clone());
                    let modified = Revision(revision);
                    let entry = Entry {
                        key,
                        value,
                        created,
                        modified,
                        lease: *lease,
                    };
                    insert(sql, &entry)?;
                    changes.push(Logged::Put(Arc::new(entry)));
                }
                Write::Delete { key } => {
                    if let Some(created) = before {
                        insert_deletion(sql, key, created, revision)?;
                        changes.push(Logged::Delete(key.clone()));
                    }
                }
            }
        }
        // A commit without changes gets no revision.
        if !changes.is_empty() {
            self.revision = revision;
            self.commits.push(LoggedCommit {
                revision: Revision(revision),
                changes,
            });
        }
        Ok(self.revision)
    }

    fn grant(&mut self, core: &Core, sql: &Connection, ttl: Duration) -> Result<u64> {
        self.check_seal()?;
        let id = new_lease_id(core);
        let ttl_ms = i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX);
        let mut insert = sql.prepare_cached("INSERT INTO lease (id, ttl_ms) VALUES (?1, ?2)")?;
        insert.execute((id.0.cast_signed(), ttl_ms))?;
        self.granted.push((id, ttl));
        Ok(id.0)
    }

    fn end(&mut self, core: &Core, sql: &Connection, id: LeaseId, revoked: bool) -> Result<u64> {
        self.check_seal()?;
        if !core.leases().begin_end(id, revoked, core.clock.monotonic()) {
            return Ok(self.revision);
        }
        self.ended.push(id);
        let bound = keys_of_lease(sql, id)?;
        let deletes: Vec<_> = bound.into_iter().map(|key| Write::Delete { key }).collect();
        for chunk in deletes.chunks(limits::WRITES_PER_COMMIT) {
            self.write(sql, chunk)?;
        }
        sql.prepare_cached("DELETE FROM lease WHERE id = ?1")?
            .execute([id.0.cast_signed()])?;
        Ok(self.revision)
    }

    /// Writes the store's revision, and deletes some of the rows that are too old.
    ///
    /// Each transaction deletes more rows than it adds, so the history never grows for long, and no
    /// transaction has to wait for a sweep over everything.
    pub(crate) fn finish(&mut self, sql: &Connection, kept: u64) -> Result<()> {
        if self.commits.is_empty() {
            return Ok(());
        }
        let target = self.revision.saturating_sub(kept);
        // In steps, so that not every commit compacts the revision of a list of several pages.
        if target > self.compacted + kept / 10 {
            self.compacted = target;
        }
        let changes: usize = self.commits.iter().map(|commit| commit.changes.len()).sum();
        remove_ended(sql, self.compacted, 2 * changes + 64)?;
        self.write_head(sql)
    }

    /// Deletes the whole history, up to `rows`.
    pub(crate) fn squeeze(&mut self, sql: &Connection, rows: usize) -> Result<()> {
        self.compacted = self.revision;
        remove_ended(sql, self.compacted, rows)?;
        self.write_head(sql)
    }

    fn write_head(&self, sql: &Connection) -> Result<()> {
        let mut update =
            sql.prepare_cached("UPDATE meta SET revision = ?1, compacted = ?2 WHERE one = 1")?;
        update.execute((self.revision.cast_signed(), self.compacted.cast_signed()))?;
        Ok(())
    }
}

fn sealed(by: &str) -> StoreError {
    StoreError::Unavailable(format!("it is being moved by {by}"))
}

fn holds(sql: &Connection, precondition: &Precondition) -> Result<bool> {
    let mut select = sql
        .prepare_cached("SELECT created, revision FROM version WHERE key = ?1 AND ended IS NULL")?;
    let number = |row: &rusqlite::Row<'_>, column| {
        row.get::<_, i64>(column)
            .map(|number| Revision(number.cast_unsigned()))
    };
    let found = select
        .query_row([precondition.key().as_str()], |row| {
            Ok((number(row, 0)?, number(row, 1)?))
        })
        .optional()?;
    Ok(match precondition {
        Precondition::Absent(_) => found.is_none(),
        Precondition::CreatedAt(_, at) => found.is_some_and(|(created, _)| created == *at),
        Precondition::ModifiedAt(_, at) => found.is_some_and(|(_, modified)| modified == *at),
    })
}

/// Ends the current version of a key. Returns the revision of its creation, none if it does not
/// exist.
fn supersede(sql: &Connection, key: &Key, revision: u64) -> Result<Option<u64>> {
    let mut update = sql.prepare_cached(
        "UPDATE version SET ended = ?1 WHERE key = ?2 AND ended IS NULL RETURNING created",
    )?;
    let created = update
        .query_row((revision.cast_signed(), key.as_str()), |row| {
            row.get::<_, i64>(0)
        })
        .optional()?;
    Ok(created.map(i64::cast_unsigned))
}

fn insert(sql: &Connection, entry: &Entry) -> Result<()> {
    let mut insert = sql.prepare_cached(
        "INSERT INTO version (revision, key, created, lease, value) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    insert.execute((
        entry.modified.0.cast_signed(),
        entry.key.as_str(),
        entry.created.0.cast_signed(),
        entry.lease.map(|lease| lease.0.cast_signed()),
        &entry.value,
    ))?;
    Ok(())
}

fn insert_deletion(sql: &Connection, key: &Key, created: u64, revision: u64) -> Result<()> {
    let mut insert = sql.prepare_cached(
        "INSERT INTO version (revision, key, created, ended) VALUES (?1, ?2, ?3, ?1)",
    )?;
    insert.execute((revision.cast_signed(), key.as_str(), created.cast_signed()))?;
    Ok(())
}

fn keys_of_lease(sql: &Connection, id: LeaseId) -> Result<Vec<Key>> {
    let mut select =
        sql.prepare_cached("SELECT key FROM version WHERE lease = ?1 AND ended IS NULL")?;
    let mut rows = select.query([id.0.cast_signed()])?;
    let mut keys = Vec::new();
    while let Some(row) = rows.next()? {
        keys.push(read::key(row)?);
    }
    Ok(keys)
}

fn remove_ended(sql: &Connection, compacted: u64, rows: usize) -> Result<()> {
    let mut delete = sql.prepare_cached(
        "DELETE FROM version WHERE number IN (
             SELECT number FROM version WHERE ended <= ?1 ORDER BY ended LIMIT ?2)",
    )?;
    delete.execute((
        compacted.cast_signed(),
        i64::try_from(rows).unwrap_or(i64::MAX),
    ))?;
    Ok(())
}

/// Random, so that a lease of a restored store is never mistaken for one that was granted after the
/// backup.
fn new_lease_id(core: &Core) -> LeaseId {
    loop {
        let id = LeaseId(Uuid::new_v4().as_u64_pair().0 >> 1);
        if id.0 != 0 && !core.leases().contains(id) {
            return id;
        }
    }
}
