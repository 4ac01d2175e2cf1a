//! The open alerts of a node.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::acknowledged::Acknowledged;
use super::ends::Ends;
use super::tracker::{Before, Tracker};
use crate::host::pools::zpool::State;

/// The alerts of a node.
pub struct Alerts {
    /// About this node and what is on it.
    pub(super) own: Mutex<Tracker>,
    /// About the cluster, as this node sees it.
    pub(super) cluster: Mutex<Tracker>,
    /// Acknowledged and open before the agent started, and not seen again yet.
    pub(super) before: Mutex<Before>,
    pub(super) acknowledged: Mutex<Arc<Acknowledged>>,
    /// Guests that have ended without being told to.
    pub ends: Ends,
    /// The pools of ZFS as they were last seen.
    pub(super) zpools: Mutex<Vec<State>>,
    pub(super) news: watch::Sender<()>,
}

impl Default for Alerts {
    fn default() -> Self {
        Self {
            own: Mutex::default(),
            cluster: Mutex::default(),
            before: Mutex::default(),
            acknowledged: Mutex::default(),
            ends: Ends::default(),
            zpools: Mutex::default(),
            news: watch::Sender::new(()),
        }
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Alerts {
    /// Whether an alert of this node is open, or was before the agent started.
    pub(super) fn may_be_open(&self, id: &str) -> bool {
        let is_here = [&self.own, &self.cluster].map(|tracker| lock(tracker).is_open(id));
        is_here.contains(&true) || lock(&self.before).contains_key(id)
    }

    /// Says that the list may be another one.
    pub fn changed(&self) {
        self.news.send_replace(());
    }
}
