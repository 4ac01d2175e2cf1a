//! What the agents observe: the newest status of every node and of its guests.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use proto::status::{GuestUsage, NodeUsage, StatusUpdate, StorageUsage};

/// After this long without a word from a node, nobody knows how it is.
const SILENCE: Duration = Duration::from_secs(30);

/// A guest's figures, and when it was started on the api's own clock.
#[derive(Debug)]
struct Guest {
    usage: GuestUsage,
    started_ms: i64,
}

/// What a node said last.
#[derive(Debug, Default)]
pub(super) struct Node {
    /// With when it was said.
    usage: Option<(NodeUsage, Duration)>,
    /// Running guests.
    guests: HashMap<u32, Guest>,
    storages: Vec<StorageUsage>,
    heard: Duration,
}

/// How a guest is.
#[derive(Debug, Clone, Copy)]
pub(super) enum GuestState<'a> {
    /// Its node has not said anything for a while, or ever.
    Unknown,
    Stopped,
    Running {
        usage: &'a GuestUsage,
        uptime_s: u64,
    },
}

/// The newest status of every node. `now` is always the api's monotonic clock.
#[derive(Debug, Default)]
pub(super) struct Observed {
    nodes: BTreeMap<String, Node>,
}

impl Observed {
    pub(super) fn accept(&mut self, update: StatusUpdate, now: Duration) {
        let node = self.nodes.entry(update.node.to_string()).or_default();
        node.heard = now;
        if update.complete {
            node.guests.clear();
        }
        if let Some(usage) = update.usage {
            node.usage = Some((usage, now));
        }
        if let Some(storages) = update.storages {
            node.storages = storages;
        }
        for usage in update.guests {
            let vmid = usage.vmid.get();
            if usage.running {
                let uptime_ms = i64::try_from(usage.uptime_s).unwrap_or(0) * 1000;
                let started_ms = milliseconds(now) - uptime_ms;
                node.guests.insert(vmid, Guest { usage, started_ms });
            } else {
                node.guests.remove(&vmid);
            }
        }
    }

    /// The nodes that have ever said something, by name.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.nodes.keys().map(String::as_str)
    }

    pub(super) fn has(&self, node: &str) -> bool {
        self.nodes.contains_key(node)
    }

    /// A node that has said something lately.
    pub(super) fn node(&self, name: &str, now: Duration) -> Option<&Node> {
        self.nodes
            .get(name)
            .filter(|node| now.saturating_sub(node.heard) < SILENCE)
    }

    pub(super) fn guest(&self, node: &str, vmid: u32, now: Duration) -> GuestState<'_> {
        let Some(node) = self.node(node, now) else {
            return GuestState::Unknown;
        };
        match node.guests.get(&vmid) {
            None => GuestState::Stopped,
            Some(guest) => {
                let uptime_ms = (milliseconds(now) - guest.started_ms).max(0);
                let uptime_s = u64::try_from(uptime_ms).unwrap_or(0) / 1000;
                GuestState::Running {
                    usage: &guest.usage,
                    uptime_s,
                }
            }
        }
    }
}

impl Node {
    /// What it uses, and for how long it has been up by now.
    pub(super) fn usage(&self, now: Duration) -> Option<(&NodeUsage, u64)> {
        let (usage, at) = self.usage.as_ref()?;
        Some((usage, usage.uptime_s + now.saturating_sub(*at).as_secs()))
    }

    pub(super) fn storage(&self, id: &str) -> Option<&StorageUsage> {
        self.storages
            .iter()
            .find(|usage| usage.storage.as_str() == id && usage.active)
    }
}

fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
