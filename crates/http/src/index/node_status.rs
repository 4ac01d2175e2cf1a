//! The status that agents report: the newest of every node and of its guests.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use proto::status::{GuestUsage, NodeUsage, StatusUpdate, StorageUsage};

/// After this long without a word from a node, its state is unknown.
const SILENCE: Duration = Duration::from_secs(30);

/// A second of the api's monotonic clock. Uptimes change only with it, so an answer is valid until
/// the next tick.
pub(super) type Tick = u64;

pub(super) fn tick(now: Duration) -> Tick {
    now.as_secs()
}

/// A reported uptime, counted on by the api. Never ahead of the time that has passed, and at most
/// one second behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Uptime {
    said_s: u64,
    /// The first tick after the report.
    at: Tick,
}

impl Uptime {
    fn new(said_s: u64, now: Duration) -> Self {
        let at = tick(now) + u64::from(now.subsec_nanos() > 0);
        Self { said_s, at }
    }

    pub(super) fn at(self, tick: Tick) -> u64 {
        self.said_s + tick.saturating_sub(self.at)
    }
}

/// A running guest.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) usage: GuestUsage,
    pub(super) uptime: Uptime,
}

/// The state of a guest.
#[derive(Debug, Clone)]
pub(super) enum GuestState {
    /// Its node has not reported for a while, or ever.
    Unknown,
    Stopped,
    Running(Arc<Running>),
}

impl GuestState {
    pub(super) fn running(&self) -> Option<&Running> {
        match self {
            Self::Running(running) => Some(running),
            _ => None,
        }
    }

    /// Whether both come from the same report.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Running(one), Self::Running(other)) => Arc::ptr_eq(one, other),
            (Self::Unknown, Self::Unknown) | (Self::Stopped, Self::Stopped) => true,
            _ => false,
        }
    }
}

/// What lists show of a node.
#[derive(Debug, Clone, Default)]
pub(super) struct NodeRow {
    /// It has reported at some time.
    pub(super) has_reported: bool,
    /// It has reported lately.
    pub(super) is_heard: bool,
    /// The agent does not hear it, though it may be heard itself.
    pub(super) is_offline: bool,
    pub(super) usage: Option<(NodeUsage, Uptime)>,
    pub(super) storages: Vec<StorageUsage>,
}

impl NodeRow {
    /// A storage that the node can use.
    pub(super) fn storage(&self, id: &str) -> Option<&StorageUsage> {
        let usable = |usage: &&StorageUsage| usage.storage.as_str() == id && usage.active;
        self.storages.iter().find(usable).filter(|_| self.is_heard)
    }

    /// Since when a storage does not answer the node.
    pub(super) fn unreachable_since(&self, id: &str) -> Option<i64> {
        let mut storages = self.storages.iter().filter(|_| self.is_heard);
        storages
            .find(|usage| usage.storage.as_str() == id)?
            .unreachable_since
    }
}

#[derive(Debug, Default)]
struct Node {
    row: NodeRow,
    heard: Duration,
    guests: HashMap<u32, Arc<Running>>,
}

/// Which rows an update has changed.
pub(super) enum Touched {
    /// All guests of the node: it reports again after silence, or the report is complete.
    All,
    These(Vec<u32>),
}

/// The newest status of every node.
#[derive(Debug, Default)]
pub(super) struct NodeStatus {
    nodes: BTreeMap<Arc<str>, Node>,
}

impl NodeStatus {
    pub(super) fn accept(&mut self, update: StatusUpdate, now: Duration) -> Touched {
        let node = self.nodes.entry(update.node.as_str().into()).or_default();
        node.row.is_offline = update.silent;
        if update.silent {
            node.row.is_heard = false;
            return Touched::All;
        }
        let is_all = update.complete || !node.row.is_heard;
        node.heard = now;
        (node.row.has_reported, node.row.is_heard) = (true, true);
        if update.complete {
            node.guests.clear();
        }
        if let Some(usage) = update.usage {
            let uptime = Uptime::new(usage.uptime_s, now);
            node.row.usage = Some((usage, uptime));
        }
        if let Some(storages) = update.storages {
            node.row.storages = storages;
        }
        let vmids = update.guests.iter().map(|usage| usage.vmid.get()).collect();
        for usage in update.guests {
            let vmid = usage.vmid.get();
            if usage.running {
                let uptime = Uptime::new(usage.uptime_s, now);
                node.guests
                    .insert(vmid, Arc::new(Running { usage, uptime }));
            } else {
                node.guests.remove(&vmid);
            }
        }
        if is_all {
            Touched::All
        } else {
            Touched::These(vmids)
        }
    }

    /// Makes a row for a member that has not reported yet.
    pub(super) fn expect(&mut self, node: &Arc<str>) {
        self.nodes.entry(Arc::clone(node)).or_default();
    }

    /// Forgets a node that is no longer a member.
    pub(super) fn forget(&mut self, node: &str) {
        self.nodes.remove(node);
    }

    /// What lists show of a node.
    pub(super) fn row(&self, node: &str) -> Option<&NodeRow> {
        self.nodes.get(node).map(|node| &node.row)
    }

    pub(super) fn guest(&self, node: &str, vmid: u32) -> GuestState {
        match self.nodes.get(node).filter(|node| node.row.is_heard) {
            None => GuestState::Unknown,
            Some(node) => match node.guests.get(&vmid) {
                None => GuestState::Stopped,
                Some(running) => GuestState::Running(Arc::clone(running)),
            },
        }
    }

    /// When the next node will have been silent for too long, unless it reports.
    pub(super) fn next_silence(&self) -> Option<Duration> {
        let heard = self.nodes.values().filter(|node| node.row.is_heard);
        heard.map(|node| node.heard + SILENCE).min()
    }

    /// Marks nodes that have been silent for too long, and returns those that were not before.
    pub(super) fn fall_silent(&mut self, now: Duration) -> Vec<Arc<str>> {
        let mut silent = Vec::new();
        for (name, node) in &mut self.nodes {
            if node.row.is_heard && now >= node.heard + SILENCE {
                node.row.is_heard = false;
                silent.push(Arc::clone(name));
            }
        }
        silent
    }
}
