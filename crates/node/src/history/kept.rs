//! What a node has of its history: the files, and what is remembered from one moment to the next.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ::history::History;
use model::VmId;
use sys::SharedHost;
use tokio::sync::Notify;

use super::guests::Guests;
use super::metrics::Recent;
use super::rates::Rates;
use crate::Paths;

/// See the module `history`.
pub struct NodeHistory {
    pub files: History,
    pub guests: Guests,
    /// All figures of the last half hour.
    pub recent: Recent,
    rates: Mutex<Rates>,
    /// Guests whose history may be with other members.
    moved: Mutex<BTreeSet<VmId>>,
    pub(super) some_moved: Notify,
}

impl NodeHistory {
    pub(crate) fn new(host: SharedHost, paths: &Paths) -> Self {
        Self {
            files: History::new(host, paths.history()),
            guests: Guests::default(),
            recent: Recent::default(),
            rates: Mutex::default(),
            moved: Mutex::default(),
            some_moved: Notify::new(),
        }
    }

    /// Other members are asked for what they have of these guests.
    pub(super) fn ask_for(&self, guests: &[VmId]) {
        if !guests.is_empty() {
            self.moved().extend(guests);
            self.some_moved.notify_one();
        }
    }

    pub(super) fn rates(&self) -> MutexGuard<'_, Rates> {
        self.rates.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn moved(&self) -> MutexGuard<'_, BTreeSet<VmId>> {
        self.moved.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
