//! What was last observed of a node: the agent's own memory of it, and the stream of what changes.
//! Each member has a board: the own one is filled by observation, the others by what they report.
//!
//! ```text
//!   sample: look · measure ──► StatusBoard ──► StatusFeed ══ watch ══► api
//!                                  ▲
//!       a task that starts or ends a guest nudges: look now
//! ```

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use model::{NodeName, StorageId, VmId};
use proto::alerts::Alert;
use proto::status::{GuestUsage, NodeUsage, StatusUpdate, StorageUsage};
use tokio::sync::{Notify, watch};

/// A guest that a look found running.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Seen {
    pub(crate) vmid: VmId,
    pub(crate) pid: u32,
    /// How long it has been running.
    pub(crate) uptime: Duration,
}

/// A value and the board's version that last changed it.
#[derive(Debug, Clone)]
struct Versioned<T> {
    version: u64,
    value: T,
}

#[derive(Debug, Clone)]
struct Guest {
    usage: GuestUsage,
    /// When it was started, on the board's clock; before the clock's own start for a guest that
    /// is older than the agent.
    started_ms: i64,
}

#[derive(Debug, Default)]
struct State {
    /// 0: nothing was observed yet.
    version: u64,
    /// Guests that run or have run since the agent started.
    guests: BTreeMap<VmId, Versioned<Guest>>,
    node: Option<Versioned<NodeUsage>>,
    storages: Option<Versioned<Vec<StorageUsage>>>,
    alerts: Option<Versioned<Vec<Alert>>>,
    /// What is older than this version says nothing about now.
    begun: u64,
    /// The node does not report.
    is_silent: bool,
}

/// The newest status of a node.
pub struct StatusBoard {
    node: NodeName,
    clock: Arc<dyn model::Clock>,
    state: Mutex<State>,
    news: watch::Sender<u64>,
    nudge: Notify,
}

impl StatusBoard {
    pub(crate) fn new(node: NodeName, clock: Arc<dyn model::Clock>) -> Arc<Self> {
        Arc::new(Self {
            node,
            clock,
            state: Mutex::default(),
            news: watch::Sender::new(0),
            nudge: Notify::new(),
        })
    }

    /// Asks for a look at once: a guest was just started or has just ended.
    pub fn nudge(&self) {
        self.nudge.notify_one();
    }

    pub(crate) async fn nudged(&self) {
        self.nudge.notified().await;
    }

    /// What was last observed of a guest; none where it was never seen running.
    pub fn guest(&self, vmid: VmId) -> Option<GuestUsage> {
        let state = self.state();
        let guest = &state.guests.get(&vmid)?.value;
        Some(self.current(guest))
    }

    /// Since when a storage does not answer, as far as that was seen.
    pub fn unreachable_since(&self, storage: &StorageId) -> Option<i64> {
        let state = self.state();
        let mut known = state.storages.iter().flat_map(|known| &known.value);
        known
            .find(|known| known.storage == *storage)?
            .unreachable_since
    }

    /// The storages of the node, as they were last measured.
    pub fn storages(&self) -> Vec<StorageUsage> {
        let state = self.state();
        let storages = state.storages.as_ref();
        storages.map_or_else(Vec::new, |storages| storages.value.clone())
    }

    /// What the node last found wrong with itself and what is on it.
    pub(crate) fn alerts(&self) -> Vec<Alert> {
        let state = self.state();
        let alerts = state.alerts.as_ref();
        alerts.map_or_else(Vec::new, |alerts| alerts.value.clone())
    }

    pub fn node_usage(&self) -> Option<NodeUsage> {
        Some(self.state().node.as_ref()?.value.clone())
    }

    /// A stream of all that is known now and of what changes after.
    pub fn feed(self: &Arc<Self>) -> StatusFeed {
        StatusFeed {
            news: self.news.subscribe(),
            board: Arc::clone(self),
            seen: None,
        }
    }

    /// Takes the result of a look at all guests: who is not in it does not run.
    pub(crate) fn saw(&self, running: &[Seen]) {
        let now_ms = self.now_ms();
        self.change(|guests, version| {
            for seen in running {
                let known = guests.get(&seen.vmid).map(|guest| &guest.value.usage);
                if known.is_some_and(|usage| usage.running && usage.pid == seen.pid) {
                    continue;
                }
                let uptime_ms = i64::try_from(seen.uptime.as_millis()).unwrap_or(0);
                let usage = GuestUsage {
                    running: true,
                    pid: seen.pid,
                    ..GuestUsage::stopped(seen.vmid)
                };
                let value = Guest {
                    usage,
                    started_ms: now_ms - uptime_ms,
                };
                guests.insert(seen.vmid, Versioned { version, value });
            }
            let ended = guests.iter_mut().filter(|(vmid, guest)| {
                guest.value.usage.running && !running.iter().any(|seen| seen.vmid == **vmid)
            });
            for (vmid, guest) in ended {
                guest.version = version;
                guest.value.usage = GuestUsage::stopped(*vmid);
            }
        });
    }

    /// Takes the figures of guests; one that has ended or was started anew since keeps what the
    /// look found.
    pub(crate) fn measured(&self, usages: Vec<GuestUsage>) {
        self.change(|guests, version| {
            for usage in usages {
                let Some(guest) = guests.get_mut(&usage.vmid) else {
                    continue;
                };
                let known = &guest.value.usage;
                if known.running && known.pid == usage.pid && *known != usage {
                    guest.version = version;
                    guest.value.usage = usage;
                }
            }
        });
    }

    pub(crate) fn measured_node(&self, usage: NodeUsage, mut storages: Vec<StorageUsage>) {
        let mut state = self.state();
        for storage in storages.iter_mut().filter(|storage| !storage.active) {
            let known = state.storages.iter().flat_map(|known| &known.value);
            let mut earlier = known.filter(|known| known.storage == storage.storage);
            let since = earlier.find_map(|known| known.unreachable_since);
            storage.unreachable_since = Some(since.unwrap_or_else(|| self.clock.wall()));
        }
        state.version += 1;
        let version = state.version;
        state.node = Some(Versioned {
            version,
            value: usage,
        });
        if state
            .storages
            .as_ref()
            .is_none_or(|known| known.value != storages)
        {
            state.storages = Some(Versioned {
                version,
                value: storages,
            });
        }
        drop(state);
        self.news.send_replace(version);
    }

    /// Takes all that the node finds wrong with itself and what is on it.
    pub(crate) fn found(&self, alerts: Vec<Alert>) {
        let mut state = self.state();
        let known = state.alerts.as_ref();
        if known.is_some_and(|known| known.value == alerts) {
            return;
        }
        state.version += 1;
        let version = state.version;
        state.alerts = Some(Versioned {
            version,
            value: alerts,
        });
        drop(state);
        self.news.send_replace(version);
    }

    /// Takes what another node reports of itself. An uptime is counted on by this node's clock.
    pub(crate) fn take(&self, update: StatusUpdate) {
        let now_ms = self.now_ms();
        let mut state = self.state();
        state.version += 1;
        let version = state.version;
        if update.complete {
            *state = State {
                version,
                begun: version,
                ..State::default()
            };
        }
        for usage in update.guests {
            let uptime_ms = i64::try_from(usage.uptime_s).map_or(0, |s| s.saturating_mul(1000));
            let started_ms = now_ms.saturating_sub(uptime_ms);
            let (vmid, value) = (usage.vmid, Guest { usage, started_ms });
            state.guests.insert(vmid, Versioned { version, value });
        }
        if let Some(value) = update.usage {
            state.node = Some(Versioned { version, value });
        }
        if let Some(value) = update.storages {
            state.storages = Some(Versioned { version, value });
        }
        if let Some(value) = update.alerts {
            state.alerts = Some(Versioned { version, value });
        }
        drop(state);
        self.news.send_replace(version);
    }

    /// The node does not report any more: what it said is not true now.
    pub(crate) fn lose(&self) {
        let mut state = self.state();
        if state.is_silent {
            return;
        }
        let version = state.version + 1;
        *state = State {
            version,
            begun: version,
            is_silent: true,
            ..State::default()
        };
        drop(state);
        self.news.send_replace(version);
    }

    fn change(&self, change: impl FnOnce(&mut BTreeMap<VmId, Versioned<Guest>>, u64)) {
        let mut state = self.state();
        state.version += 1;
        let version = state.version;
        change(&mut state.guests, version);
        drop(state);
        self.news.send_replace(version);
    }

    fn current(&self, guest: &Guest) -> GuestUsage {
        let mut usage = guest.usage.clone();
        if usage.running {
            let uptime_ms = (self.now_ms() - guest.started_ms).max(0);
            usage.uptime_s = u64::try_from(uptime_ms).unwrap_or(0) / 1000;
        }
        usage
    }

    /// What changed after version `seen`; all of it where nothing was seen that still counts.
    fn since(&self, seen: Option<u64>) -> (u64, StatusUpdate) {
        let state = self.state();
        let seen = seen.filter(|seen| *seen >= state.begun);
        if state.is_silent {
            let update = StatusUpdate {
                silent: seen.is_none(),
                ..StatusUpdate::of(self.node.clone())
            };
            return (state.version, update);
        }
        let is_new = |version: u64| seen.is_none_or(|seen| version > seen);
        let guests = state.guests.values().filter(|guest| {
            // A new consumer needs no word about guests that do not run.
            is_new(guest.version) && (seen.is_some() || guest.value.usage.running)
        });
        let node = state.node.as_ref().filter(|node| is_new(node.version));
        let storages = state
            .storages
            .as_ref()
            .filter(|storages| is_new(storages.version));
        let alerts = state
            .alerts
            .as_ref()
            .filter(|alerts| is_new(alerts.version));
        let update = StatusUpdate {
            node: self.node.clone(),
            silent: false,
            complete: seen.is_none(),
            usage: node.map(|node| node.value.clone()),
            guests: guests.map(|guest| self.current(&guest.value)).collect(),
            storages: storages.map(|storages| storages.value.clone()),
            alerts: alerts.map(|alerts| alerts.value.clone()),
        };
        (state.version, update)
    }

    fn now_ms(&self) -> i64 {
        i64::try_from(self.clock.monotonic().as_millis()).unwrap_or(i64::MAX)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// See `StatusBoard::feed`.
pub struct StatusFeed {
    board: Arc<StatusBoard>,
    news: watch::Receiver<u64>,
    seen: Option<u64>,
}

impl StatusFeed {
    pub(crate) fn is_of(&self, board: &Arc<StatusBoard>) -> bool {
        Arc::ptr_eq(&self.board, board)
    }

    /// The next update: the first one is complete and waits for the first look, every other one
    /// waits for a change. May be dropped and called again without losing anything.
    pub async fn next(&mut self) -> StatusUpdate {
        loop {
            let newest = *self.news.borrow_and_update();
            if newest > self.seen.unwrap_or(0) {
                let (version, update) = self.board.since(self.seen);
                self.seen = Some(version);
                let says_nothing = !update.complete
                    && !update.silent
                    && update.usage.is_none()
                    && update.storages.is_none()
                    && update.alerts.is_none()
                    && update.guests.is_empty();
                if !says_nothing {
                    return update;
                }
            }
            // The board is kept by this feed, so its sender lives.
            if self.news.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use model::Clock;
    use testkit::ManualClock;

    use super::*;

    fn vmid(number: u32) -> VmId {
        VmId::new(number).unwrap()
    }

    fn seen(number: u32, pid: u32, uptime_s: u64) -> Seen {
        Seen {
            vmid: vmid(number),
            pid,
            uptime: Duration::from_secs(uptime_s),
        }
    }

    fn usage(number: u32, pid: u32, disk_read: u64) -> GuestUsage {
        GuestUsage {
            running: true,
            pid,
            disk_read,
            ..GuestUsage::stopped(vmid(number))
        }
    }

    #[test]
    fn a_storage_that_does_not_answer_is_shown_with_its_first_silent_moment() {
        let clock = ManualClock::default();
        let board = StatusBoard::new("pve1".parse().unwrap(), Arc::new(clock.clone()));
        let id: StorageId = "far".parse().unwrap();
        let measure = |active| {
            let storage = StorageUsage {
                storage: id.clone(),
                active,
                used: 0,
                total: 0,
                unreachable_since: None,
                troubles: Vec::new(),
            };
            board.measured_node(NodeUsage::default(), vec![storage]);
            clock.advance(Duration::from_secs(10));
            board.unreachable_since(&id)
        };
        assert_eq!(measure(true), None);
        let since = clock.wall();
        assert_eq!([measure(false), measure(false)], [Some(since); 2]);
        assert_eq!(measure(true), None);
        assert_eq!(measure(false), Some(since + 30));
    }

    #[tokio::test]
    async fn a_feed_tells_all_and_then_only_what_changes() {
        let clock = ManualClock::default();
        let board = StatusBoard::new("pve1".parse().unwrap(), Arc::new(clock.clone()));
        let mut feed = board.feed();
        board.saw(&[seen(100, 7, 60), seen(101, 8, 0)]);
        clock.advance(Duration::from_secs(5));
        let first = feed.next().await;
        assert!(first.complete);
        let uptimes: Vec<u64> = first.guests.iter().map(|guest| guest.uptime_s).collect();
        assert_eq!(uptimes, [65, 5]);
        board.measured(vec![usage(100, 7, 512), usage(101, 8, 0)]);
        let second = feed.next().await;
        let changed: Vec<(u32, u64)> = second
            .guests
            .iter()
            .map(|guest| (guest.vmid.get(), guest.disk_read))
            .collect();
        assert_eq!((second.complete, changed), (false, vec![(100, 512)]));
        board.saw(&[seen(101, 8, 5)]);
        let third = feed.next().await;
        assert_eq!(third.guests, [GuestUsage::stopped(vmid(100))]);
        // Who comes now hears nothing of the guest that has ended.
        assert_eq!(board.feed().next().await.guests.len(), 1);
    }

    #[tokio::test]
    async fn what_another_node_reports_counts_until_it_is_silent() {
        let clock = ManualClock::default();
        let own = StatusBoard::new("pve2".parse().unwrap(), Arc::new(clock.clone()));
        let copy = StatusBoard::new("pve2".parse().unwrap(), Arc::new(clock.clone()));
        own.saw(&[seen(100, 7, 60), seen(101, 8, 0)]);
        let (mut feed, mut copied) = (own.feed(), copy.feed());
        copy.take(feed.next().await);
        clock.advance(Duration::from_secs(5));
        let first = copied.next().await;
        assert!(first.complete);
        let uptimes: Vec<u64> = first.guests.iter().map(|guest| guest.uptime_s).collect();
        assert_eq!(uptimes, [65, 5]);
        own.saw(&[seen(101, 8, 5)]);
        copy.take(feed.next().await);
        assert_eq!(copied.next().await.guests, [GuestUsage::stopped(vmid(100))]);
        copy.lose();
        copy.lose();
        let silent = copied.next().await;
        assert!(silent.silent && !silent.complete && silent.guests.is_empty());
        assert!(copy.feed().next().await.silent);
        copy.take(own.feed().next().await);
        let again = copied.next().await;
        assert!(again.complete && !again.silent);
        assert_eq!(again.guests.len(), 1);
    }

    #[tokio::test]
    async fn counters_begin_again_with_a_new_process() {
        let board = StatusBoard::new("pve1".parse().unwrap(), Arc::new(ManualClock::default()));
        board.saw(&[seen(100, 7, 0)]);
        board.measured(vec![usage(100, 7, 512)]);
        board.saw(&[seen(100, 9, 0)]);
        // Measured before the restart, told after it.
        board.measured(vec![usage(100, 7, 600)]);
        let guest = board.guest(vmid(100)).unwrap();
        assert_eq!((guest.pid, guest.disk_read, guest.uptime_s), (9, 0, 0));
    }
}
