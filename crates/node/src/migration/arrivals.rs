//! What is in progress for guests on their way to this node.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use model::VmId;
use tokio::sync::{Mutex as AsyncMutex, MutexGuard, Notify, OwnedRwLockReadGuard, RwLock, watch};

/// The guests that are known to be on their way here.
#[derive(Default)]
pub(crate) struct Arrivals {
    known: Mutex<BTreeMap<VmId, Arc<AtWork>>>,
    /// Held while it is decided what becomes of one of them.
    deciding: AsyncMutex<()>,
    /// Signals that one has come that is to be started.
    starting: Notify,
}

/// What is in progress for a guest.
#[derive(Default)]
pub(super) struct AtWork {
    /// Held while something is made or received.
    working: Arc<RwLock<()>>,
    /// Set once the guest is not expected any more.
    is_over: watch::Sender<bool>,
}

impl Arrivals {
    pub(super) async fn deciding(&self) -> MutexGuard<'_, ()> {
        self.deciding.lock().await
    }

    pub(super) fn starts(&self) {
        self.starting.notify_one();
    }

    /// Waits until one has come that is to be started.
    pub(super) async fn one_starts(&self) {
        self.starting.notified().await;
    }

    pub(super) fn of(&self, vmid: VmId) -> Arc<AtWork> {
        let mut all = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        all.entry(vmid).or_default().clone()
    }

    /// Whether a guest may be on its way here: what is started under its number is for it.
    pub(crate) fn contains(&self, vmid: VmId) -> bool {
        let all = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        all.contains_key(&vmid)
    }

    pub(super) fn all(&self) -> Vec<VmId> {
        let all = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        all.keys().copied().collect()
    }

    pub(super) fn forget(&self, vmid: VmId) {
        let mut all = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        all.remove(&vmid);
    }
}

impl AtWork {
    /// None once it is over.
    pub(super) async fn work(&self) -> Option<(OwnedRwLockReadGuard<()>, watch::Receiver<bool>)> {
        let guard = self.working.clone().read_owned().await;
        let is_over = self.is_over.subscribe();
        let goes_on = !*is_over.borrow();
        goes_on.then_some((guard, is_over))
    }

    /// Breaks off what can be, and waits for the end of the rest.
    pub(super) async fn end(&self) {
        self.is_over.send_replace(true);
        drop(self.working.write().await);
    }
}
