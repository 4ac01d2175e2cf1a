//! The open alerts of a node.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::alert::Alert;
use super::ends::Ends;
use super::tracker::Tracker;

/// The alerts of a node.
#[derive(Default)]
pub struct Alerts {
    /// About this node and what is on it.
    pub(super) own: Mutex<Tracker>,
    /// About the cluster, as this node sees it.
    pub(super) cluster: Mutex<Tracker>,
    /// Guests that have ended without being told to.
    pub ends: Ends,
}

pub(super) fn lock(tracker: &Mutex<Tracker>) -> MutexGuard<'_, Tracker> {
    tracker.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Alerts {
    /// What is wrong with this node and what is on it.
    pub fn own(&self) -> Vec<Alert> {
        lock(&self.own).open().cloned().collect()
    }

    /// What is wrong with the cluster and its other members.
    pub fn of_cluster(&self) -> Vec<Alert> {
        lock(&self.cluster).open().cloned().collect()
    }
}
