//! A store whose revisions begin after those of the store that it continues.

use async_trait::async_trait;

use crate::{
    Change, Changes, Commit, Entry, Key, LeaseId, Page, PageToken, Precondition, Prefix, Read,
    Revision, SharedStore, Store, StoreError, Watch,
};

/// Adds `base` to every revision of a store. With the source's last revision as base, revisions
/// keep growing over a move: a caller that waits for an old one finds it reached, and a list or a watch
/// that continues from before the move is `Compacted`.
pub struct Rebased {
    store: SharedStore,
    base: Revision,
}

impl Rebased {
    pub fn new(store: SharedStore, base: Revision) -> Self {
        Self { store, base }
    }

    fn up(&self, revision: Revision) -> Revision {
        up(self.base, revision)
    }

    /// A revision as the store below counts it; none for one from before the move.
    fn down(&self, revision: Revision) -> Option<Revision> {
        revision.0.checked_sub(self.base.0).map(Revision)
    }

    fn compacted(&self) -> StoreError {
        StoreError::Compacted { oldest: self.base }
    }

    fn error(&self, error: StoreError) -> StoreError {
        error_up(self.base, error)
    }

    fn precondition(&self, precondition: Precondition) -> Precondition {
        let down = |at| self.down(at).unwrap_or(NEVER);
        match precondition {
            Precondition::Absent(key) => Precondition::Absent(key),
            Precondition::CreatedAt(key, at) => Precondition::CreatedAt(key, down(at)),
            Precondition::ModifiedAt(key, at) => Precondition::ModifiedAt(key, down(at)),
        }
    }
}

/// Of a precondition that names a revision from before the move, which cannot hold: every key was
/// written after it. A store's revisions fit into an `i64`.
const NEVER: Revision = Revision(i64::MAX as u64);

fn up(base: Revision, revision: Revision) -> Revision {
    Revision(base.0 + revision.0)
}

fn entry_up(base: Revision, entry: Entry) -> Entry {
    Entry {
        created: up(base, entry.created),
        modified: up(base, entry.modified),
        ..entry
    }
}

fn error_up(base: Revision, error: StoreError) -> StoreError {
    match error {
        StoreError::Compacted { oldest } => StoreError::Compacted {
            oldest: up(base, oldest),
        },
        other => other,
    }
}

#[async_trait]
impl Store for Rebased {
    async fn get(&self, key: &Key, read: Read) -> Result<(Option<Entry>, Revision), StoreError> {
        let got = self.store.get(key, read).await;
        let (entry, revision) = got.map_err(|error| self.error(error))?;
        let entry = entry.map(|entry| entry_up(self.base, entry));
        Ok((entry, self.up(revision)))
    }

    async fn list(
        &self,
        prefix: &Prefix,
        from: Option<PageToken>,
        read: Read,
    ) -> Result<Page, StoreError> {
        let from = match from {
            None => None,
            Some(PageToken { revision, after }) => Some(PageToken {
                revision: self.down(revision).ok_or_else(|| self.compacted())?,
                after,
            }),
        };
        let page = self.store.list(prefix, from, read).await;
        let page = page.map_err(|error| self.error(error))?;
        let next = page.next.map(|token| PageToken {
            revision: self.up(token.revision),
            ..token
        });
        let entries = page.entries.into_iter();
        Ok(Page {
            entries: entries.map(|entry| entry_up(self.base, entry)).collect(),
            revision: self.up(page.revision),
            next,
        })
    }

    async fn commit(&self, commit: Commit) -> Result<Revision, StoreError> {
        let preconditions = commit.preconditions.into_iter();
        let commit = Commit {
            preconditions: preconditions.map(|one| self.precondition(one)).collect(),
            writes: commit.writes,
        };
        let committed = self.store.commit(commit).await;
        let revision = committed.map_err(|error| self.error(error))?;
        Ok(self.up(revision))
    }

    async fn watch(&self, prefix: &Prefix, after: Revision) -> Result<Box<dyn Watch>, StoreError> {
        let after = self.down(after).ok_or_else(|| self.compacted())?;
        let watch = self.store.watch(prefix, after).await;
        Ok(Box::new(RebasedWatch {
            watch: watch.map_err(|error| self.error(error))?,
            base: self.base,
        }))
    }

    async fn grant(&self, ttl: std::time::Duration) -> Result<LeaseId, StoreError> {
        self.store.grant(ttl).await
    }

    async fn renew(&self, lease: LeaseId) -> Result<(), StoreError> {
        self.store.renew(lease).await
    }

    async fn revoke(&self, lease: LeaseId) -> Result<(), StoreError> {
        self.store.revoke(lease).await
    }
}

struct RebasedWatch {
    watch: Box<dyn Watch>,
    base: Revision,
}

#[async_trait]
impl Watch for RebasedWatch {
    async fn next(&mut self) -> Result<Changes, StoreError> {
        let base = self.base;
        let next = self.watch.next().await;
        let changes = next.map_err(|error| error_up(base, error))?;
        let change_up = |change| match change {
            Change::Put(entry) => Change::Put(entry_up(base, entry)),
            Change::Delete { key, revision } => Change::Delete {
                key,
                revision: up(base, revision),
            },
        };
        Ok(Changes {
            revision: up(base, changes.revision),
            changes: changes.changes.into_iter().map(change_up).collect(),
        })
    }

    fn resumed(&self) -> u64 {
        self.watch.resumed()
    }
}
