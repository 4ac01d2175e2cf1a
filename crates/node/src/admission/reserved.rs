//! What guests have reserved that are being started: two starts at the same time do not get the same
//! memory.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use model::VmId;
use planner::Demand;

/// What guests that are being started have reserved.
#[derive(Default)]
pub(crate) struct Admissions {
    /// One guest is admitted at a time.
    pub(super) deciding: tokio::sync::Mutex<()>,
    reserved: Arc<Mutex<BTreeMap<VmId, Demand>>>,
}

impl Admissions {
    pub(super) fn reserved(&self) -> BTreeMap<VmId, Demand> {
        let reserved = self.reserved.lock();
        reserved.unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn reserve(&self, vmid: VmId, demand: Demand) -> Reservation {
        let all = Arc::clone(&self.reserved);
        let mut reserved = all.lock().unwrap_or_else(PoisonError::into_inner);
        reserved.insert(vmid, demand);
        drop(reserved);
        Reservation { vmid, all }
    }
}

/// Room that a guest has until it runs. Ends with this value.
pub(crate) struct Reservation {
    vmid: VmId,
    all: Arc<Mutex<BTreeMap<VmId, Demand>>>,
}

impl fmt::Debug for Reservation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reservation({})", self.vmid)
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let mut reserved = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        reserved.remove(&self.vmid);
    }
}
