//! The leases of a store and when they end.

use std::collections::HashMap;
use std::time::Duration;

use crate::{LeaseId, StoreError};

#[derive(Debug)]
struct Lease {
    ttl: Duration,
    /// On the clock's monotonic time. The lease does not end before it.
    deadline: Duration,
    /// The commit that deletes its keys is in progress: it can no longer be renewed.
    ending: bool,
}

/// **Invariant:** a lease ends only between `begin_end` and `ended`; in between it cannot be
/// renewed and no key can be bound to it. So an acknowledged renewal holds.
#[derive(Debug, Default)]
pub(crate) struct Leases(HashMap<LeaseId, Lease>);

impl Leases {
    /// Adds a lease whose time begins now.
    pub(crate) fn add(&mut self, id: LeaseId, ttl: Duration, now: Duration) {
        let deadline = now.saturating_add(ttl);
        self.0.insert(
            id,
            Lease {
                ttl,
                deadline,
                ending: false,
            },
        );
    }

    pub(crate) fn contains(&self, id: LeaseId) -> bool {
        self.0.contains_key(&id)
    }

    pub(crate) fn renew(&mut self, id: LeaseId, now: Duration) -> Result<(), StoreError> {
        match self.0.get_mut(&id) {
            Some(lease) if !lease.ending => {
                lease.deadline = now.saturating_add(lease.ttl);
                Ok(())
            }
            _ => Err(StoreError::LeaseLost),
        }
    }

    /// Whether keys may be bound to it.
    pub(crate) fn usable(&self, id: LeaseId) -> bool {
        self.0.get(&id).is_some_and(|lease| !lease.ending)
    }

    /// The expired leases.
    pub(crate) fn due(&self, now: Duration) -> Vec<LeaseId> {
        let mut due: Vec<_> = self
            .0
            .iter()
            .filter(|(_, lease)| lease.deadline <= now)
            .collect();
        due.sort_by_key(|(id, lease)| (lease.deadline, id.0));
        due.into_iter().map(|(id, _)| *id).collect()
    }

    pub(crate) fn next_deadline(&self) -> Option<Duration> {
        self.0.values().map(|lease| lease.deadline).min()
    }

    /// Starts to end a lease. Without `revoked` only if it has expired. False if there is nothing
    /// to end.
    pub(crate) fn begin_end(&mut self, id: LeaseId, revoked: bool, now: Duration) -> bool {
        match self.0.get_mut(&id) {
            Some(lease) if revoked || lease.deadline <= now => {
                lease.ending = true;
                true
            }
            _ => false,
        }
    }

    /// The keys could not be deleted, so the lease continues.
    pub(crate) fn abandon_end(&mut self, id: LeaseId) {
        if let Some(lease) = self.0.get_mut(&id) {
            lease.ending = false;
        }
    }

    pub(crate) fn ended(&mut self, id: LeaseId) {
        self.0.remove(&id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: LeaseId = LeaseId(7);

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_renewal_before_the_end_begins_wins_and_one_after_it_loses() {
        let mut leases = Leases::default();
        leases.add(ID, at(10), at(0));
        leases.renew(ID, at(10)).unwrap();
        assert!(
            !leases.begin_end(ID, false, at(10)),
            "it was renewed at its last moment"
        );
        assert!(leases.begin_end(ID, false, at(20)));
        assert_eq!(leases.renew(ID, at(20)), Err(StoreError::LeaseLost));
        assert!(!leases.usable(ID));
        leases.abandon_end(ID);
        leases.renew(ID, at(21)).unwrap();
    }

    #[test]
    fn a_lease_of_forever_does_not_overflow() {
        let mut leases = Leases::default();
        leases.add(ID, Duration::MAX, at(5));
        leases.renew(ID, at(9)).unwrap();
        assert_eq!(leases.next_deadline(), Some(Duration::MAX));
    }
}
