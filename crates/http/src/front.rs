//! Admission of connections, and which one is closed when there are too many.
//!
//! ```text
//!   accept ─► admit ─┬─ room                      ─► a place
//!                    ├─ full, some are silent     ─► one of those is closed, a place
//!                    └─ full, all are worked for  ─► closed at once
//! ```
//!
//! A connection on which the agent has not yet verified a credential is a stranger's.
//! Strangers together, and those of one address, have a smaller share than all. *Silent* is a
//! connection that we wait for: for its handshake, for a request, for a body, or until it takes
//! its answer. Of those that are, strangers give way first, then the address that has most, then
//! the one that is silent for longest. What is being worked for is never closed.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use model::Clock;
use tokio::sync::Notify;

/// How many connections there may be.
#[derive(Debug, Clone, Copy)]
struct Share {
    all: usize,
    strangers: usize,
}

/// In all.
const TOTAL: Share = Share {
    all: 1024,
    strangers: 512,
};

/// Of this machine itself, where reverse proxies are.
const LOOPBACK: Share = Share {
    all: 896,
    strangers: 448,
};

/// Of one other address.
const ADDRESS: Share = Share {
    all: 512,
    strangers: 256,
};

/// Whom a connection is counted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Source {
    Loopback,
    Address(IpAddr),
    /// The network part of an IPv6 address: a host has as many of the rest as it likes.
    Network(u64),
}

impl Source {
    fn of(address: IpAddr) -> Self {
        let address = address.to_canonical();
        match address {
            _ if address.is_loopback() => Self::Loopback,
            IpAddr::V6(address) => Self::Network((address.to_bits() >> 64) as u64),
            address => Self::Address(address),
        }
    }

    fn share(self) -> Share {
        match self {
            Self::Loopback => LOOPBACK,
            _ => ADDRESS,
        }
    }
}

struct Entry {
    source: Source,
    is_stranger: bool,
    /// How many work for it.
    workers: usize,
    /// Since when it is silent.
    since: Duration,
    close: Arc<Notify>,
}

#[derive(Default)]
struct Entries {
    next: u64,
    known: HashMap<u64, Entry>,
}

/// All connections.
pub(crate) struct Front {
    clock: Arc<dyn Clock>,
    entries: Mutex<Entries>,
}

impl Front {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            entries: Mutex::default(),
        }
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for a new connection; none where no other can give way.
    pub(crate) fn admit(self: &Arc<Self>, address: IpAddr) -> Option<Arc<Place>> {
        let source = Source::of(address);
        let close = Arc::new(Notify::new());
        let mut entries = self.entries();
        entries.make_room(source)?;
        let id = entries.next;
        entries.next += 1;
        let entry = Entry {
            source,
            is_stranger: true,
            workers: 0,
            since: self.clock.monotonic(),
            close: close.clone(),
        };
        entries.known.insert(id, entry);
        Some(Arc::new(Place {
            id,
            front: self.clone(),
            close,
        }))
    }

    /// Closes a silent connection, for want of descriptors.
    pub(crate) fn close_one(&self) {
        self.entries().close(|_| true);
    }
}

impl Entries {
    fn make_room(&mut self, source: Source) -> Option<()> {
        let share = source.share();
        let mine = |entry: &Entry| entry.source == source;
        let strange = |entry: &Entry| entry.is_stranger;
        self.keep_below(TOTAL.all, |_| true)?;
        self.keep_below(TOTAL.strangers, strange)?;
        self.keep_below(share.all, mine)?;
        self.keep_below(share.strangers, |entry| mine(entry) && strange(entry))
    }

    /// Sees to it that there are fewer of a kind than its limit.
    fn keep_below(&mut self, limit: usize, is_kind: impl Fn(&Entry) -> bool) -> Option<()> {
        let count = self.known.values().filter(|entry| is_kind(entry)).count();
        if count < limit || self.close(is_kind) {
            Some(())
        } else {
            None
        }
    }

    /// Closes a silent one of a kind. False where none is silent.
    fn close(&mut self, is_kind: impl Fn(&Entry) -> bool) -> bool {
        let mut counts: HashMap<Source, usize> = HashMap::new();
        for entry in self.known.values().filter(|entry| is_kind(entry)) {
            *counts.entry(entry.source).or_default() += 1;
        }
        let silent = self
            .known
            .iter()
            .filter(|(_, entry)| is_kind(entry) && entry.workers == 0);
        let first = silent.min_by_key(|(id, entry)| {
            let fewer = Reverse(counts.get(&entry.source).copied());
            (!entry.is_stranger, fewer, entry.since, **id)
        });
        let first = first.map(|(id, _)| *id);
        let closed = first.and_then(|id| self.known.remove(&id));
        closed.map(|entry| entry.close.notify_one()).is_some()
    }
}

/// The place of one connection. It is free again when this is dropped.
pub(crate) struct Place {
    id: u64,
    front: Arc<Front>,
    close: Arc<Notify>,
}

impl Place {
    /// Waits until the connection has to give way.
    pub(crate) async fn closed(&self) {
        self.close.notified().await;
    }

    /// The agent has verified who is at the other end.
    pub(crate) fn prove(&self) {
        self.change(|entry, _| entry.is_stranger = false);
    }

    /// Keeps the connection for as long as the value is kept.
    pub(crate) fn work(self: &Arc<Self>) -> Work {
        self.change(|entry, _| entry.workers += 1);
        Work(self.clone())
    }

    fn change(&self, change: impl FnOnce(&mut Entry, Duration)) {
        let now = self.front.clock.monotonic();
        if let Some(entry) = self.front.entries().known.get_mut(&self.id) {
            change(entry, now);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.front.entries().known.remove(&self.id);
    }
}

/// Work that is done for a connection.
pub(crate) struct Work(Arc<Place>);

impl Drop for Work {
    fn drop(&mut self) {
        self.0.change(|entry, now| {
            entry.workers = entry.workers.saturating_sub(1);
            entry.since = now;
        });
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use testkit::ManualClock;

    use super::*;

    fn front() -> (Arc<Front>, ManualClock) {
        let clock = ManualClock::default();
        (Arc::new(Front::new(Arc::new(clock.clone()))), clock)
    }

    fn ip(number: usize) -> IpAddr {
        let number = u32::try_from(number).unwrap();
        std::net::Ipv4Addr::from_bits(0x0a00_0000 + number).into()
    }

    fn is_closed(place: &Place) -> bool {
        place.closed().now_or_never().is_some()
    }

    #[test]
    fn the_longest_silent_stranger_of_an_address_gives_way() {
        let (front, clock) = front();
        let mut places = Vec::new();
        for _ in 0..ADDRESS.strangers {
            places.push(front.admit(ip(1)).unwrap());
            clock.advance(Duration::from_secs(1));
        }
        // The first has just been worked for, and is the youngest in silence now.
        drop(places[0].work());
        let _work = places[1].work();
        let other = front.admit(ip(2)).unwrap();
        let next = front.admit(ip(1)).unwrap();
        let closed: Vec<usize> = (0..places.len())
            .filter(|at| is_closed(&places[*at]))
            .collect();
        assert_eq!(closed, [2]);
        assert!(!is_closed(&other) && !is_closed(&next));
    }

    #[test]
    fn an_address_whose_connections_are_all_worked_for_gets_no_more() {
        let (front, _) = front();
        let places: Vec<_> = (0..ADDRESS.strangers)
            .map(|_| front.admit(ip(1)).unwrap().work())
            .collect();
        assert!(front.admit(ip(1)).is_none());
        assert!(front.admit(ip(2)).is_some());
        drop(places);
        assert!(front.admit(ip(1)).is_some());
    }

    #[test]
    fn strangers_never_take_the_places_of_the_known() {
        let (front, _) = front();
        let known: Vec<_> = (0..TOTAL.all - TOTAL.strangers)
            .map(|number| {
                let place = front.admit(ip(number)).unwrap();
                place.prove();
                place
            })
            .collect();
        let strangers: Vec<_> = (0..10 * TOTAL.strangers)
            .map(|number| front.admit(ip(number)).unwrap())
            .collect();
        assert!(known.iter().all(|place| !is_closed(place)));
        let left = strangers.iter().filter(|place| !is_closed(place)).count();
        assert_eq!(left, TOTAL.strangers);
        assert_eq!(front.entries().known.len(), TOTAL.all);
        // A verified credential frees a place for strangers.
        strangers.last().unwrap().prove();
        assert!(front.admit(ip(1)).is_some());
    }

    #[test]
    fn the_address_that_has_most_gives_way() {
        let (front, clock) = front();
        let alone = front.admit(ip(3)).unwrap();
        clock.advance(Duration::from_secs(1));
        let admit = |number: usize, count: usize| -> Vec<_> {
            let places = (0..count).map(|_| front.admit(ip(number)).unwrap());
            places.collect()
        };
        let most = admit(1, ADDRESS.strangers);
        let fewer = admit(2, TOTAL.strangers - ADDRESS.strangers - 1);
        let new = front.admit(ip(4)).unwrap();
        assert!(![&alone, &new].into_iter().any(|place| is_closed(place)));
        assert!(!fewer.iter().any(|place| is_closed(place)));
        assert_eq!(most.iter().filter(|place| is_closed(place)).count(), 1);
    }

    #[test]
    fn addresses_are_counted_by_whose_they_are() {
        let of = |text: &str| Source::of(text.parse().unwrap());
        assert_eq!(of("127.0.0.1"), of("::1"));
        assert_eq!(of("127.0.0.1"), of("::ffff:127.8.9.1"));
        assert_eq!(of("10.0.0.1"), of("::ffff:10.0.0.1"));
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:2"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_ne!(of("10.0.0.1"), of("10.0.0.2"));
    }

    #[test]
    fn a_place_is_free_again_when_its_connection_ends() {
        let (front, _) = front();
        let place = front.admit(ip(1)).unwrap();
        let work = place.work();
        drop(place);
        assert_eq!(
            front.entries().known.len(),
            1,
            "a console goes on without HTTP"
        );
        drop(work);
        assert!(front.entries().known.is_empty());
    }
}
