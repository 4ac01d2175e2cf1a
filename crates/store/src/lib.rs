//! Cluster state: one trait whose verbs mean the same in every backend.
//!
//! ```text
//!   agent ──► dyn Store ──► sqlite   one machine: a file, no server
//!                      ├──► cluster  etcd, and its replica in a file of the node: for reads
//!                      │             while a majority is missing
//!                      └──► memory   tests and simulation
//!   api   ◄── remote: a feed of what is not secret, from which it keeps a replica
//! ```
//!
//! It is a small map from keys to bytes with revisions. It is not a database: no queries, no
//! transactions that read, no locks. The crates above decide what is stored under which key.
//!
//! **Invariants.** A commit happens wholly or not at all and has one revision, larger than all
//! before it. A list shows the map at one revision. A watch sees every change after its revision
//! once and in order, or says `Compacted`. A lease ends not before its time. One conformance suite
//! (`conformance`) holds every backend to these.

mod check;
mod cluster;
pub mod conformance;
pub mod conversion;
mod error;
pub mod etcd;
mod expiry;
mod history;
mod key;
mod leases;
mod memory;
mod recent;
pub mod remote;
mod replica;
mod sealed;
mod sqlite;
mod value;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

pub use cluster::{ClusterOptions, ClusterStore, Connect, Origin};
pub use error::StoreError;
pub use etcd::{Endpoints, EtcdHealth, EtcdMember, EtcdOptions, EtcdSpeed, EtcdStore, EtcdVoters};
pub use key::{Key, KeyError, Prefix};
pub use memory::MemoryStore;
pub use remote::{Feed, FeedError, FeedMessage, ReplicaFeed, Step, feed};
pub use replica::{Replica, ReplicaOptions, Standing};
pub use sealed::{SealedStore, SealingKeys};
pub use sqlite::{SqliteOptions, SqliteStore};

/// The number of a commit. Revision 0 is the empty map before the first one.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Revision(pub u64);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LeaseId(pub u64);

/// Limits that every backend enforces first, so that a request accepted by one backend is accepted
/// by all (etcd refuses 129 operations and 1.5 MiB in one request).
pub mod limits {
    pub const WRITES_PER_COMMIT: usize = 100;
    pub const PRECONDITIONS_PER_COMMIT: usize = 100;
    pub const VALUE_BYTES: usize = 1 << 20;
    pub const COMMIT_BYTES: usize = (1 << 20) + (1 << 18);
    pub const KEY_BYTES: usize = 1024;
    pub const PAGE_ENTRIES: usize = 1000;
    /// A page ends early once its values reach this size, so a short page need not be the last one.
    /// Only `PageToken` shows the end.
    pub const PAGE_BYTES: usize = 4 << 20;
}

/// How fresh a read must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Read {
    /// Sees every commit that was acknowledged, by anyone, before the read began.
    Linear,
    /// May be behind; is answered without a majority too.
    Local,
}

/// A majority of a store is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outage {
    /// What was last heard of the store, one line.
    pub reason: String,
    /// How old the answers of local reads are: what was committed since is missing in them. None if
    /// this node has no copy, so that these reads fail too.
    pub age: Option<Duration>,
}

/// A value with the revisions of its key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    pub key: Key,
    #[serde(with = "value")]
    pub value: Vec<u8>,
    /// The commit that created the key, since it last did not exist.
    pub created: Revision,
    /// The commit that last wrote it.
    pub modified: Revision,
    pub lease: Option<LeaseId>,
}

/// One page of a list. All pages of a list are taken at `revision`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    pub entries: Vec<Entry>,
    pub revision: Revision,
    /// Where the next page begins; none on the last.
    pub next: Option<PageToken>,
}

/// Continues a list at the revision at which it began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageToken {
    pub revision: Revision,
    /// The last key of the previous page.
    pub after: Key,
}

/// A condition for a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Precondition {
    Absent(Key),
    /// The key exists since this commit. The only safe lock: bind the key to a lease, and let every
    /// guarded commit name the revision that created the key.
    CreatedAt(Key, Revision),
    ModifiedAt(Key, Revision),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    Put {
        key: Key,
        value: Vec<u8>,
        lease: Option<LeaseId>,
    },
    /// Deleting a missing key is no error.
    Delete { key: Key },
}

/// Preconditions and writes. A key may be written once in a commit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Commit {
    pub preconditions: Vec<Precondition>,
    pub writes: Vec<Write>,
}

impl Commit {
    pub fn new() -> Self {
        Self::default()
    }

    #[must_use]
    pub fn when(mut self, precondition: Precondition) -> Self {
        self.preconditions.push(precondition);
        self
    }

    #[must_use]
    pub fn put(mut self, key: Key, value: impl Into<Vec<u8>>) -> Self {
        self.writes.push(Write::Put {
            key,
            value: value.into(),
            lease: None,
        });
        self
    }

    #[must_use]
    pub fn put_leased(mut self, key: Key, value: impl Into<Vec<u8>>, lease: LeaseId) -> Self {
        self.writes.push(Write::Put {
            key,
            value: value.into(),
            lease: Some(lease),
        });
        self
    }

    #[must_use]
    pub fn delete(mut self, key: Key) -> Self {
        self.writes.push(Write::Delete { key });
        self
    }
}

/// One change, as a watch reports it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    Put(Entry),
    Delete { key: Key, revision: Revision },
}

/// All changes of one commit below the watched prefix; never a part of a commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changes {
    pub revision: Revision,
    pub changes: Vec<Change>,
}

/// A running watch. Dropping it ends it.
#[async_trait]
pub trait Watch: Send {
    /// The next commit that changed something below the prefix. Waits without limit.
    /// Cancellation-safe.
    ///
    /// Errors end the watch: `Compacted` (list again and watch from there; also for a consumer that
    /// fell too far behind), `Moved` (the backend was replaced: do the same), or `Unavailable`.
    async fn next(&mut self) -> Result<Changes, StoreError>;

    /// How often the watch lost its server and resumed by itself. It missed nothing if the server
    /// keeps its promises; a replica that wants to be sure compares itself with the store then.
    fn resumed(&self) -> u64 {
        0
    }
}

/// A store. Every method may be called from any task at the same time; none blocks the thread.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Reads one key. Also returns the store's revision at that moment. May be cancelled and
    /// repeated.
    async fn get(&self, key: &Key, read: Read) -> Result<(Option<Entry>, Revision), StoreError>;

    /// Reads one page of all keys below `prefix`, in the order of their bytes; `from` continues
    /// an earlier page. At most `limits::PAGE_ENTRIES` entries. `Compacted` where the list's
    /// revision is no longer kept: begin again. May be cancelled and repeated.
    async fn list(
        &self,
        prefix: &Prefix,
        from: Option<PageToken>,
        read: Read,
    ) -> Result<Page, StoreError>;

    /// Applies all writes in one revision, if all preconditions hold; durable on return.
    ///
    /// `Conflict` names the precondition that failed, and nothing was written. `Unknown` means that
    /// the commit may or may not have happened: the caller must look (write something recognizable,
    /// such as its own id). If the caller stops waiting, the outcome is unknown in the same way,
    /// until a linear read that begins afterwards: a commit that this read does not see will not
    /// happen any more. Repeating is safe exactly when the preconditions make it so. A commit that
    /// changes nothing (it has no writes, or deletes only missing keys) checks its preconditions
    /// and returns the current revision. `Conflict` comes before `LeaseLost`.
    async fn commit(&self, commit: Commit) -> Result<Revision, StoreError>;

    /// Reports every change below `prefix` after revision `after`, without gap or repeat. `Moved`
    /// if the store never had that revision, which means that it was replaced; the same holds for a
    /// list.
    async fn watch(&self, prefix: &Prefix, after: Revision) -> Result<Box<dyn Watch>, StoreError>;

    /// Grants a lease. It ends *not before* `ttl` after it was granted or last renewed, by the
    /// backend's clock, and may end later (a restart gives every lease its full time again). Its
    /// keys are deleted when it ends, in one commit, or in several if they are more than a commit
    /// may write. `ttl` is at least one second.
    async fn grant(&self, ttl: Duration) -> Result<LeaseId, StoreError>;

    /// Renews a lease for its full time. `LeaseLost` when it has ended. May be repeated.
    async fn renew(&self, lease: LeaseId) -> Result<(), StoreError>;

    /// Ends a lease now and deletes its keys. Ending one that has ended is no error.
    async fn revoke(&self, lease: LeaseId) -> Result<(), StoreError>;

    /// Whether a majority is known to be missing; then only local reads are answered. Asks no other
    /// node.
    fn outage(&self) -> Option<Outage> {
        None
    }

    /// What this node's copy of the store shows; none: there is no copy.
    fn copy(&self) -> Option<Standing> {
        None
    }

    /// Waits until there is an outage, or none. Returns at once if it is so. May be dropped.
    async fn until_outage(&self, is_out: bool) {
        if is_out {
            std::future::pending().await
        }
    }
}

/// All entries below a prefix, page by page at one revision.
///
/// Restarts by itself if the revision is compacted between two pages.
pub async fn list_all(
    store: &dyn Store,
    prefix: &Prefix,
    read: Read,
) -> Result<(Vec<Entry>, Revision), StoreError> {
    'again: loop {
        let mut entries = Vec::new();
        let mut from = None;
        loop {
            let page = match store.list(prefix, from.take(), read).await {
                Err(StoreError::Compacted { .. }) if !entries.is_empty() => continue 'again,
                page => page?,
            };
            entries.extend(page.entries);
            match page.next {
                Some(next) => from = Some(next),
                None => return Ok((entries, page.revision)),
            }
        }
    }
}

/// A store that is shared.
pub type SharedStore = Arc<dyn Store>;
