//! What is in progress for guests on their way to this node.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use model::VmId;
use tokio::sync::{OwnedRwLockReadGuard, RwLock, watch};

/// The guests that are known to be on their way here.
#[derive(Default)]
pub(crate) struct Arrivals(Mutex<BTreeMap<VmId, Arc<AtWork>>>);

/// What is being received for a guest.
#[derive(Default)]
pub(super) struct AtWork {
    /// Held while something is received.
    receiving: Arc<RwLock<()>>,
    /// Set once nothing more is to be received.
    is_over: watch::Sender<bool>,
}

impl Arrivals {
    pub(super) fn of(&self, vmid: VmId) -> Arc<AtWork> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.entry(vmid).or_default().clone()
    }

    pub(super) fn all(&self) -> Vec<VmId> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.keys().copied().collect()
    }

    pub(super) fn forget(&self, vmid: VmId) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.remove(&vmid);
    }
}

impl AtWork {
    /// None once it is over.
    pub(super) async fn receive(
        &self,
    ) -> Option<(OwnedRwLockReadGuard<()>, watch::Receiver<bool>)> {
        let guard = self.receiving.clone().read_owned().await;
        let is_over = self.is_over.subscribe();
        let goes_on = !*is_over.borrow();
        goes_on.then_some((guard, is_over))
    }

    /// Breaks off what is being received, and waits for its end.
    pub(super) async fn end(&self) {
        self.is_over.send_replace(true);
        drop(self.receiving.write().await);
    }
}
