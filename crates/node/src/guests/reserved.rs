//! What guests have reserved that are being started: two starts at the same time do not get the same.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use model::VmId;

type All<T> = Arc<Mutex<BTreeMap<VmId, T>>>;

/// What guests that are being started have reserved.
pub(crate) struct Reservations<T> {
    /// One guest decides at a time.
    pub(crate) deciding: tokio::sync::Mutex<()>,
    all: All<T>,
}

impl<T> Default for Reservations<T> {
    fn default() -> Self {
        Self {
            deciding: tokio::sync::Mutex::default(),
            all: All::default(),
        }
    }
}

impl<T: Clone> Reservations<T> {
    pub(crate) fn all(&self) -> BTreeMap<VmId, T> {
        self.all
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Changes what a guest has reserved.
    pub(crate) fn change(&self, vmid: VmId, change: impl FnOnce(&mut T)) {
        let mut reserved = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(what) = reserved.get_mut(&vmid) {
            change(what);
        }
    }

    pub(crate) fn reserve(&self, vmid: VmId, what: T) -> Reservation<T> {
        let all = Arc::clone(&self.all);
        let mut reserved = all.lock().unwrap_or_else(PoisonError::into_inner);
        reserved.insert(vmid, what);
        drop(reserved);
        Reservation { vmid, all }
    }
}

/// What a guest has until it runs. Ends with this value.
pub(crate) struct Reservation<T> {
    vmid: VmId,
    all: All<T>,
}

impl<T> fmt::Debug for Reservation<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reservation({})", self.vmid)
    }
}

impl<T> Drop for Reservation<T> {
    fn drop(&mut self) {
        let mut reserved = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        reserved.remove(&self.vmid);
    }
}
