//! The agent's side of authentication: it alone holds keys and secrets.

mod factors;
mod keyring;
mod login;
mod seal;
mod verify;

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use model::Clock;
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

pub use login::{Login, LoginRequest, PasswordHash, Session, TicketCheck};
pub use verify::{Caller, Holder, TokenSecret, new_token_secret};

/// How often a change is tried that others keep coming before.
const ATTEMPTS: usize = 16;

/// Verifies callers, and changes what rights are made of.
///
/// Verified tokens are not kept: a check is one read and one digest, and nothing that is not
/// kept can be out of date.
pub struct Authority {
    store: SharedStore,
    clock: Arc<dyn Clock>,
    access: RwLock<Arc<Access>>,
    /// Wakes those who wait for another snapshot.
    changed: watch::Sender<()>,
    signer: RwLock<Arc<Signer>>,
    passwords: Passwords,
    failures: FailureLimit,
    pam: Arc<dyn PamRunner>,
    /// PAM helpers that run at the same time are bounded like password hashes are.
    pam_slots: tokio::sync::Semaphore,
    /// Changes of this process queue here instead of failing each other's preconditions.
    changes: tokio::sync::Mutex<()>,
}

impl Authority {
    /// Reads what there is, and makes the signing keys if there are none yet. Call `follow`
    /// then, so that changes of other nodes are seen.
    pub async fn new(
        store: SharedStore,
        clock: Arc<dyn Clock>,
        pam: Arc<dyn PamRunner>,
    ) -> Result<Self, AuthError> {
        let signer = keyring::open(&*store, clock.wall()).await?;
        let access = Access::load(&*store, Read::Linear).await?;
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
        })
    }

    /// The newest snapshot that is here. A change that this process made is in it when the
    /// change returns; those of others come by `follow`.
    pub fn access(&self) -> Arc<Access> {
        Arc::clone(&self.access.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Says when `access` is another one.
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// The clock that everything here is measured by.
    pub fn now(&self) -> model::UnixTime {
        self.clock.wall()
    }

    fn signer(&self) -> Arc<Signer> {
        Arc::clone(&self.signer.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// A snapshot that holds every change that was acknowledged before the call, by anyone.
    pub async fn refresh(&self) -> Result<Arc<Access>, StoreError> {
        let (order, _) = self.store.get(&keys::order(), Read::Linear).await?;
        let order = order.map(|entry| entry.modified);
        let here = self.access();
        if here.order == order {
            return Ok(here);
        }
        let loaded = Arc::new(Access::load(&*self.store, Read::Linear).await?);
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

    /// Keeps the snapshot and the keys up to date with what other nodes do. Never returns; to
    /// be run as a task for as long as the agent lives.
    pub async fn follow(&self) {
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
        let loaded = Access::load(&*self.store, Read::Linear).await?;
        let revision = loaded.revision();
        // Also where the store was replaced by one whose revisions are smaller.
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

    /// Changes records: `edit` says what to write, given the newest state. It may be asked
    /// several times, and what it returns happens as it returns it or not at all (an edit of
    /// more than a hundred records may be cut off between two commits; each of `edit`'s
    /// functions orders its writes so that repeating it completes it).
    pub async fn change(
        &self,
        edit: impl Fn(&Access) -> Result<Edit, AccessError>,
    ) -> Result<Revision, AccessError> {
        let _turn = self.changes.lock().await;
        for _ in 0..ATTEMPTS {
            let access = self.refresh().await?;
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
    ) -> Result<Option<(model::Record<T>, Revision)>, AuthError> {
        let (entry, _) = self.store.get(key, Read::Linear).await?;
        let Some(entry) = entry else { return Ok(None) };
        let record = model::Record::decode(&entry.value)
            .map_err(|_| AuthError::Broken(format!("the record '{key}' cannot be read")))?;
        Ok(Some((record, entry.modified)))
    }
}

/// What a watch will report of a commit, without what is secret.
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
