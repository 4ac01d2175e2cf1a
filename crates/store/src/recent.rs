//! The last commits, in order, for watches.
//!
//! One log is shared by all watches of a store. A watch is only a position in it, so a slow one
//! costs nothing; if its position is no longer in the log, it ends with `Compacted`.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::{Change, Changes, Entry, Key, Prefix, Revision, StoreError};

/// How much of the history is kept; the smaller of the two limits applies.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Keep {
    pub(crate) revisions: u64,
    pub(crate) bytes: usize,
}

#[derive(Debug, Clone)]
pub(crate) enum Logged {
    Put(Arc<Entry>),
    Delete(Key),
}

impl Logged {
    pub(crate) fn key(&self) -> &Key {
        match self {
            Self::Put(entry) => &entry.key,
            Self::Delete(key) => key,
        }
    }

    fn bytes(&self) -> usize {
        // The constant stands for the structures around key and value.
        let value = match self {
            Self::Put(entry) => entry.value.len(),
            Self::Delete(_) => 0,
        };
        self.key().as_str().len() + value + 100
    }

    fn to_change(&self, revision: Revision) -> Change {
        match self {
            Self::Put(entry) => Change::Put(Entry::clone(entry)),
            Self::Delete(key) => Change::Delete {
                key: key.clone(),
                revision,
            },
        }
    }
}

/// All changes of one commit.
#[derive(Debug, Clone)]
pub(crate) struct LoggedCommit {
    pub(crate) revision: Revision,
    pub(crate) changes: Vec<Logged>,
}

impl LoggedCommit {
    fn bytes(&self) -> usize {
        self.changes.iter().map(Logged::bytes).sum()
    }

    /// The changes below `prefix`; none if there are none.
    fn below(&self, prefix: &Prefix) -> Option<Changes> {
        let of_prefix = self
            .changes
            .iter()
            .filter(|change| prefix.contains(change.key()));
        let changes: Vec<_> = of_prefix
            .map(|change| change.to_change(self.revision))
            .collect();
        (!changes.is_empty()).then_some(Changes {
            revision: self.revision,
            changes,
        })
    }
}

#[derive(Debug)]
pub(crate) struct Recent {
    /// The revision of the store.
    revision: Revision,
    /// The log has every commit after this one.
    floor: Revision,
    log: VecDeque<LoggedCommit>,
    bytes: usize,
    keep: Keep,
}

impl Recent {
    /// An empty log of a store at `revision`.
    pub(crate) fn new(revision: Revision, keep: Keep) -> Self {
        Self {
            revision,
            floor: revision,
            log: VecDeque::new(),
            bytes: 0,
            keep,
        }
    }

    pub(crate) fn revision(&self) -> Revision {
        self.revision
    }

    /// The oldest revision from which a watch can start.
    pub(crate) fn floor(&self) -> Revision {
        self.floor
    }

    /// Adds a commit. It may be empty: then only the revision advances.
    pub(crate) fn push(&mut self, commit: LoggedCommit) {
        debug_assert!(commit.revision > self.revision, "revisions only grow");
        self.revision = commit.revision;
        if !commit.changes.is_empty() {
            self.bytes += commit.bytes();
            self.log.push_back(commit);
        }
    }

    /// Removes the oldest commit if the log is over its limit.
    pub(crate) fn pop_excess(&mut self) -> Option<LoggedCommit> {
        let oldest_kept = self.revision.0.saturating_sub(self.keep.revisions);
        let excess = self.bytes > self.keep.bytes
            || self
                .log
                .front()
                .is_some_and(|commit| commit.revision.0 <= oldest_kept);
        if excess { self.pop() } else { None }
    }

    fn pop(&mut self) -> Option<LoggedCommit> {
        let commit = self.log.pop_front()?;
        self.bytes -= commit.bytes();
        self.floor = commit.revision;
        Some(commit)
    }

    /// The next commit after `position` that changed something below `prefix`. Advances `position`
    /// over all commits that were examined. `Compacted` if the position is no longer in the log.
    pub(crate) fn next_after(
        &self,
        prefix: &Prefix,
        position: &mut Revision,
    ) -> Result<Option<Changes>, StoreError> {
        if *position < self.floor {
            return Err(StoreError::Compacted { oldest: self.floor });
        }
        let first = self
            .log
            .partition_point(|commit| commit.revision <= *position);
        let found = self
            .log
            .range(first..)
            .find_map(|commit| commit.below(prefix));
        *position = match &found {
            Some(changes) => changes.revision,
            // A position ahead of the log stays: it has already seen the next commits.
            None => self.revision.max(*position),
        };
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delete(revision: u64, key: &str) -> LoggedCommit {
        let changes = vec![Logged::Delete(Key::new(key).unwrap())];
        LoggedCommit {
            revision: Revision(revision),
            changes,
        }
    }

    #[test]
    fn a_position_moves_over_what_does_not_concern_it() {
        let mut recent = Recent::new(
            Revision(4),
            Keep {
                revisions: 100,
                bytes: 1 << 20,
            },
        );
        for (revision, key) in [(5, "a/1"), (6, "b/1"), (7, "a/2")] {
            recent.push(delete(revision, key));
        }
        let prefix = Prefix::below("b").unwrap();
        let mut position = Revision(4);
        let found = recent.next_after(&prefix, &mut position).unwrap().unwrap();
        assert_eq!((found.revision, position), (Revision(6), Revision(6)));
        assert!(recent.next_after(&prefix, &mut position).unwrap().is_none());
        assert_eq!(position, Revision(7));
    }

    #[test]
    fn bytes_bound_the_log_as_revisions_do() {
        let mut recent = Recent::new(
            Revision(0),
            Keep {
                revisions: 100,
                bytes: 350,
            },
        );
        for revision in 1..=10 {
            recent.push(delete(revision, "a/1"));
            while recent.pop_excess().is_some() {}
        }
        assert_eq!(recent.floor(), Revision(7));
        let lost = recent
            .next_after(&Prefix::all(), &mut Revision(6))
            .unwrap_err();
        assert_eq!(
            lost,
            StoreError::Compacted {
                oldest: Revision(7)
            }
        );
    }
}
