//! The agent's side of authentication: only the agent holds keys and secrets.

mod factors;
mod keyring;
mod login;
mod seal;
mod unstored;
mod verify;

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use model::{Clock, UnixTime};
use serde::Serialize;
use serde::de::DeserializeOwned;
use store::{Change, Changes, Commit, Entry, Read, Revision, SharedStore, StoreError, Write};
use tokio::sync::watch;

use crate::acl::Access;
use crate::edit::{Edit, ordered};
use crate::error::{AccessError, AuthError};
use crate::keys;
use crate::limit::FailureLimit;
use crate::pam::PamRunner;
use crate::password::Passwords;
use crate::ticket::Signer;

use unstored::Unstored;

pub use login::{Login, LoginRequest, PasswordHash, Session, TicketCheck};
pub use verify::{Caller, TokenSecret, new_token_secret};

/// How often a change is retried after conflicts.
const ATTEMPTS: usize = 16;

/// Verifies callers, and changes the records that rights depend on.
///
/// Verified tokens are not cached: a check costs one read and one digest, and cannot be out of
/// date.
pub struct Authority {
    store: SharedStore,
    clock: Arc<dyn Clock>,
    access: RwLock<Arc<Access>>,
    /// Wakes tasks that wait for a newer snapshot.
    changed: watch::Sender<()>,
    signer: RwLock<Arc<Signer>>,
    passwords: Passwords,
    failures: FailureLimit,
    pam: Arc<dyn PamRunner>,
    /// Bounds the PAM helpers that run at the same time, as for password hashes.
    pam_slots: tokio::sync::Semaphore,
    /// Serializes changes of this process, so that they do not fail each other's preconditions.
    changes: tokio::sync::Mutex<()>,
    started: UnixTime,
    /// Second factors that were used without a majority.
    unstored: Unstored,
}

impl Authority {
    /// Reads the records, and creates the signing keys if there are none. Works without a majority
    /// if there are. Call `follow` afterwards to see the changes of other nodes.
    pub async fn new(
        store: SharedStore,
        clock: Arc<dyn Clock>,
        pam: Arc<dyn PamRunner>,
    ) -> Result<Self, AuthError> {
        let signer = keyring::open(&*store, clock.wall()).await?;
        let access = Access::load(&*store, Read::Local).await?;
        let started = clock.wall();
        Ok(Self {
            store,
            clock,
            access: RwLock::new(Arc::new(access)),
            changed: watch::Sender::new(()),
            signer: RwLock::new(Arc::new(signer)),
            passwords: Passwords::new(),
            failures: FailureLimit::default(),
            pam,
            pam_slots: tokio::sync::Semaphore::new(4),
            changes: tokio::sync::Mutex::default(),
            started,
            unstored: Unstored::default(),
        })
    }

    /// The newest local snapshot. It contains a change of this process when the change returns;
    /// changes of other nodes arrive through `follow`.
    pub fn access(&self) -> Arc<Access> {
        Arc::clone(&self.access.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Notifies when `access` has changed.
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// The time by which everything here is checked.
    pub fn now(&self) -> UnixTime {
        self.clock.wall()
    }

    fn signer(&self) -> Arc<Signer> {
        Arc::clone(&self.signer.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// A snapshot with every change that was acknowledged before the call, on any node. With
    /// `Read::Local` without a majority, with those that are known here.
    pub async fn refresh(&self, read: Read) -> Result<Arc<Access>, StoreError> {
        let (order, at) = self.store.get(&keys::order(), read).await?;
        let order = order.map(|entry| entry.modified);
        let here = self.access();
        // A copy of the store may be behind what this process has seen.
        let is_behind = read == Read::Local && at < here.revision();
        if here.order == order || is_behind {
            return Ok(here);
        }
        let loaded = Arc::new(Access::load(&*self.store, read).await?);
        self.advance(Arc::clone(&loaded));
        Ok(loaded)
    }

    fn advance(&self, newer: Arc<Access>) {
        let mut access = self.access.write().unwrap_or_else(PoisonError::into_inner);
        if access.revision() < newer.revision() {
            *access = newer;
            self.changed.send_replace(());
        }
    }

    fn apply(&self, changes: &Changes) {
        let mut access = self.access.write().unwrap_or_else(PoisonError::into_inner);
        Arc::make_mut(&mut access).apply(changes);
        self.changed.send_replace(());
    }

    /// Keeps the snapshot and the keys up to date with changes of other nodes, and stores what had
    /// to wait for a majority. Never returns; run it as a task for the agent's lifetime.
    pub async fn follow(&self) {
        tokio::join!(self.follow_changes(), self.store_used_factors());
    }

    async fn follow_changes(&self) {
        loop {
            let Err(error) = self.follow_once().await;
            match error {
                AuthError::Store(StoreError::Compacted { .. } | StoreError::Moved) => {}
                error => {
                    tracing::warn!(%error, "cannot follow changes of rights, trying again");
                    self.clock.sleep(Duration::from_secs(1)).await;
                }
            }
        }
    }

    async fn follow_once(&self) -> Result<std::convert::Infallible, AuthError> {
        let loaded = Access::load(&*self.store, Read::Local).await?;
        let revision = loaded.revision();
        // Also after the store was replaced by one with smaller revisions.
        *self.access.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(loaded);
        self.changed.send_replace(());
        self.reload_keys().await?;
        let mut access = self.store.watch(&keys::all(), revision).await?;
        let mut signing = self.store.watch(&keys::signing_keys(), revision).await?;
        loop {
            tokio::select! {
                changes = access.next() => self.apply(&changes?),
                changes = signing.next() => {
                    changes?;
                    self.reload_keys().await?;
                }
            }
        }
    }

    /// Changes records: `edit` returns the writes, given the newest state. It may be called several
    /// times. Its writes are applied all or none, except that an edit of more than a hundred
    /// records may be interrupted between two commits; each function of `edit` orders its writes so
    /// that repeating it completes it.
    pub async fn change(
        &self,
        edit: impl Fn(&Access) -> Result<Edit, AccessError>,
    ) -> Result<Revision, AccessError> {
        let _turn = self.changes.lock().await;
        for _ in 0..ATTEMPTS {
            let access = self.refresh(Read::Linear).await?;
            let edit = edit(&access)?;
            match self.commit(access, edit).await {
                Err(StoreError::Conflict { .. }) => {}
                outcome => return Ok(outcome?),
            }
        }
        Err(AccessError::Contended)
    }

    async fn commit(&self, access: Arc<Access>, edit: Edit) -> Result<Revision, StoreError> {
        let mut revision = access.revision();
        let mut order = access.order;
        let mut access = access;
        let room = store::limits::WRITES_PER_COMMIT - 1;
        for writes in edit.into_writes().chunks(room) {
            let commit = ordered(order, writes.to_vec());
            revision = self.store.commit(commit.clone()).await?;
            order = Some(revision);
            Arc::make_mut(&mut access).apply(&as_changes(&commit, revision));
            self.advance(Arc::clone(&access));
        }
        Ok(revision)
    }

    async fn read<T: Serialize + DeserializeOwned>(
        &self,
        key: &store::Key,
        read: Read,
    ) -> Result<Option<(model::Record<T>, Revision)>, AuthError> {
        let (entry, _) = self.store.get(key, read).await?;
        let Some(entry) = entry else { return Ok(None) };
        let record = model::Record::decode(&entry.value)
            .map_err(|_| AuthError::Broken(format!("the record '{key}' cannot be read")))?;
        Ok(Some((record, entry.modified)))
    }
}

/// What a watch will report of a commit, without secrets.
fn as_changes(commit: &Commit, revision: Revision) -> Changes {
    let below = keys::all();
    let changes = commit.writes.iter().filter_map(|write| match write {
        Write::Put { key, value, lease } if below.contains(key) => Some(Change::Put(Entry {
            key: key.clone(),
            value: value.clone(),
            created: revision,
            modified: revision,
            lease: *lease,
        })),
        Write::Delete { key } if below.contains(key) => Some(Change::Delete {
            key: key.clone(),
            revision,
        }),
        _ => None,
    });
    Changes {
        revision,
        changes: changes.collect(),
    }
}

#[cfg(test)]
mod tests;
