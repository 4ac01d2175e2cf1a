//! A map with its recent history, in memory: used by the memory store.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use crate::recent::{Keep, Logged, LoggedCommit, Recent};
use crate::{Changes, Entry, Key, Page, PageToken, Prefix, Revision, StoreError, limits};

/// A key's value from a revision on.
#[derive(Debug)]
struct Version {
    since: Revision,
    /// None: deleted.
    entry: Option<Arc<Entry>>,
}

/// Every key has its versions, oldest first, back to the oldest kept revision.
#[derive(Debug)]
pub(crate) struct History {
    keys: BTreeMap<Key, Vec<Version>>,
    recent: Recent,
}

impl History {
    /// An empty map.
    pub(crate) fn new(keep: Keep) -> Self {
        Self {
            keys: BTreeMap::new(),
            recent: Recent::new(Revision(0), keep),
        }
    }

    pub(crate) fn revision(&self) -> Revision {
        self.recent.revision()
    }

    pub(crate) fn get(&self, key: &Key) -> Option<&Arc<Entry>> {
        self.keys.get(key)?.last()?.entry.as_ref()
    }

    pub(crate) fn live(&self) -> impl Iterator<Item = &Arc<Entry>> {
        self.keys
            .values()
            .filter_map(|versions| versions.last()?.entry.as_ref())
    }

    /// Adds a commit, which must be newer than all before it, and drops what is too old.
    pub(crate) fn push(&mut self, commit: LoggedCommit) {
        for change in &commit.changes {
            let entry = match change {
                Logged::Put(entry) => Some(Arc::clone(entry)),
                Logged::Delete(_) => None,
            };
            let versions = self.keys.entry(change.key().clone()).or_default();
            versions.push(Version {
                since: commit.revision,
                entry,
            });
        }
        self.recent.push(commit);
        while let Some(forgotten) = self.recent.pop_excess() {
            for change in &forgotten.changes {
                self.trim(change.key(), forgotten.revision);
            }
        }
    }

    /// Drops the versions of `key` that no revision from `floor` on can see.
    fn trim(&mut self, key: &Key, floor: Revision) {
        let Some(versions) = self.keys.get_mut(key) else {
            return;
        };
        let seen_at_floor = versions.partition_point(|version| version.since <= floor);
        versions.drain(..seen_at_floor.saturating_sub(1));
        let deleted = |version: &Version| version.since <= floor && version.entry.is_none();
        if versions.first().is_some_and(deleted) {
            versions.remove(0);
        }
        if versions.is_empty() {
            self.keys.remove(key);
        }
    }

    pub(crate) fn page(
        &self,
        prefix: &Prefix,
        from: Option<PageToken>,
    ) -> Result<Page, StoreError> {
        let revision = from
            .as_ref()
            .map_or(self.revision(), |token| token.revision);
        if revision < self.recent.floor() {
            return Err(StoreError::Compacted {
                oldest: self.recent.floor(),
            });
        }
        if revision > self.revision() {
            return Err(StoreError::Moved);
        }
        let start = match &from {
            Some(token) => Bound::Excluded(token.after.as_str()),
            None => Bound::Included(prefix.as_str()),
        };
        let below = self
            .keys
            .range::<str, _>((start, Bound::Unbounded))
            .skip_while(|(key, _)| key.as_str() < prefix.as_str())
            .take_while(|(key, _)| prefix.contains(key));
        let entries = below.filter_map(|(_, versions)| at(versions, revision));
        let mut page = PageBuilder::default();
        for entry in entries {
            if page.is_full() {
                return Ok(page.finish(revision, true));
            }
            page.push(Entry::clone(entry));
        }
        Ok(page.finish(revision, false))
    }

    /// The next changes for a watch; see `Recent::next_after`.
    pub(crate) fn next_after(
        &self,
        prefix: &Prefix,
        position: &mut Revision,
    ) -> Result<Option<Changes>, StoreError> {
        self.recent.next_after(prefix, position)
    }

    /// Refuses a watch whose first changes are no longer kept.
    pub(crate) fn check_kept(&self, after: Revision) -> Result<(), StoreError> {
        let oldest = self.recent.floor();
        if after < oldest {
            Err(StoreError::Compacted { oldest })
        } else {
            Ok(())
        }
    }
}

fn at(versions: &[Version], revision: Revision) -> Option<&Arc<Entry>> {
    let seen = versions.partition_point(|version| version.since <= revision);
    versions.get(seen.checked_sub(1)?)?.entry.as_ref()
}

/// Collects entries until a page is full.
#[derive(Default)]
pub(crate) struct PageBuilder {
    entries: Vec<Entry>,
    bytes: usize,
}

impl PageBuilder {
    pub(crate) fn is_full(&self) -> bool {
        self.entries.len() >= limits::PAGE_ENTRIES || self.bytes >= limits::PAGE_BYTES
    }

    /// The entries so far, and the bytes of their values.
    pub(crate) fn size(&self) -> (usize, usize) {
        (self.entries.len(), self.bytes)
    }

    pub(crate) fn push(&mut self, entry: Entry) {
        self.bytes += entry.value.len();
        self.entries.push(entry);
    }

    pub(crate) fn finish(self, revision: Revision, more: bool) -> Page {
        let last = self.entries.last().filter(|_| more);
        let next = last.map(|entry| PageToken {
            revision,
            after: entry.key.clone(),
        });
        Page {
            entries: self.entries,
            revision,
            next,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(history: &mut History, revision: u64, key: &str) {
        let revision = Revision(revision);
        let key = Key::new(key).unwrap();
        let entry = Entry {
            key,
            value: vec![],
            created: revision,
            modified: revision,
            lease: None,
        };
        let changes = vec![Logged::Put(Arc::new(entry))];
        history.push(LoggedCommit { revision, changes });
    }

    fn delete(history: &mut History, revision: u64, key: &str) {
        let changes = vec![Logged::Delete(Key::new(key).unwrap())];
        history.push(LoggedCommit {
            revision: Revision(revision),
            changes,
        });
    }

    #[test]
    fn what_nobody_can_see_any_more_is_dropped() {
        let keep = Keep {
            revisions: 3,
            bytes: usize::MAX,
        };
        let mut history = History::new(keep);
        put(&mut history, 1, "a");
        put(&mut history, 2, "a");
        delete(&mut history, 3, "a");
        put(&mut history, 4, "b");
        put(&mut history, 5, "b");
        assert_eq!(history.keys["a"].len(), 2, "revision 2 still sees a value");
        put(&mut history, 6, "b");
        assert!(
            !history.keys.contains_key("a"),
            "revision 3 and later see nothing"
        );
        for revision in 7..100 {
            put(&mut history, revision, "b");
        }
        assert_eq!(history.keys["b"].len(), 4);
    }
}
