//! The agent's session: a key without which none of its commits applies.
//!
//! etcd carries out a request that it once accepted, however late: a proposal that waits in a
//! connection between two members may apply after its caller has given up and has read that it did
//! not. So every commit requires that the session's key was last written at a known revision. After
//! a commit whose outcome is unknown (a doubt) the key is written anew before the next linear read
//! or commit. From then on the doubtful commit has either applied, which that read sees, or never
//! will.
//!
//! ```text
//!   commit A, if session is of 7  ── held back ──────────────────────────► refused: it is of 9
//!   caller gives up ── session := written at 9 ── linear read: A is not there
//! ```
//!
//! Writing the key also requires its last revision, so a late one of these changes nothing either.
//! A later process of the same agent writes it too, which ends the commits of the earlier one.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use tokio::sync::Mutex;

use super::message::{Compare, PutRequest, Request};

pub(crate) struct Session {
    pub(crate) key: Vec<u8>,
    /// Its value: random, so that it is known who wrote it.
    pub(crate) owner: Vec<u8>,
    /// The revision of etcd that last wrote the key; 0 while it is missing, see `settle`.
    revision: AtomicI64,
    /// Whether this session may have deleted its key. Where it has not, a missing key means that
    /// the agent was removed.
    pub(crate) emptied: AtomicBool,
    /// How many outcomes became unknown, and how many of them are decided.
    pub(crate) doubts: AtomicU64,
    pub(crate) settled: AtomicU64,
    pub(crate) replacing: Mutex<()>,
}

impl Session {
    pub(crate) fn new(key: Vec<u8>, revision: i64) -> Self {
        Self {
            key,
            owner: uuid::Uuid::new_v4().to_string().into_bytes(),
            revision: AtomicI64::new(revision),
            emptied: AtomicBool::new(false),
            doubts: AtomicU64::new(0),
            settled: AtomicU64::new(0),
            replacing: Mutex::new(()),
        }
    }

    pub(crate) fn revision(&self) -> i64 {
        self.revision.load(Ordering::Acquire)
    }

    /// The condition of every commit.
    pub(crate) fn holds(&self, revision: i64) -> Compare {
        Compare::modified(self.key.clone(), revision)
    }

    /// The write of the key.
    pub(crate) fn put(&self) -> Request {
        Request::Put(PutRequest {
            key: self.key.clone(),
            value: self.owner.clone(),
            lease: 0,
        })
    }

    pub(crate) fn began_at(&self, revision: i64) {
        self.revision.store(revision, Ordering::Release);
    }

    /// Call before a commit is sent, and `Sending::known` once its outcome is.
    pub(crate) fn sending(&self) -> Sending<'_> {
        Sending(&self.doubts)
    }
}

/// A commit on its way. Dropping it, also because its caller stopped waiting, is a doubt.
pub(crate) struct Sending<'a>(&'a AtomicU64);

impl Sending<'_> {
    pub(crate) fn known(self) {
        std::mem::forget(self);
    }
}

impl Drop for Sending<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }
}
