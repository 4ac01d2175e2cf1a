//! An immutable snapshot of everything that lists are made from. The next one shares all parts
//! that have not changed.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use model::{Error, GuestKind};
use proto::alerts::{OpenAlert, Subject};
use store::Revision;

use super::node_status::NodeRow;
use super::replica::StorageRow;
use super::sight::Rights;
use super::table::Table;

/// The length of the log of removed rows.
const KEPT: usize = 1000;

/// A value, and the versions that added it and changed it last.
#[derive(Debug, Clone)]
pub(super) struct Stamped<T> {
    pub(super) added: u64,
    pub(super) changed: u64,
    pub(super) value: T,
}

/// A row that was removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum GoneRow {
    Guest(GuestKind, u32),
    Storage { node: Arc<str>, id: Box<str> },
    Alert { id: Box<str>, subject: Subject },
}

/// The log of removed rows, with the version that removed each.
#[derive(Debug, Clone, Default)]
pub(super) struct Gone {
    rows: VecDeque<(u64, GoneRow)>,
    /// The log is complete for later versions only.
    forgotten: u64,
}

impl Gone {
    pub(super) fn add(&mut self, version: u64, row: GoneRow) {
        if self.rows.len() == KEPT
            && let Some((version, _)) = self.rows.pop_front()
        {
            self.forgotten = version;
        }
        self.rows.push_back((version, row));
    }

    /// Empties the log: at this version any row may have been removed.
    pub(super) fn forget(&mut self, version: u64) {
        self.rows.clear();
        self.forgotten = version;
    }

    /// The rows that were removed after a version; none if the log does not reach back so far.
    pub(super) fn since(&self, version: u64) -> Option<impl Iterator<Item = &GoneRow>> {
        let begin = self.rows.partition_point(|(gone, _)| *gone <= version);
        let rows = self.rows.range(begin..).map(|(_, row)| row);
        (version >= self.forgotten).then_some(rows)
    }
}

#[derive(Debug, Clone, Default)]
pub(super) struct Snapshot {
    /// Incremented by every message of the feed.
    pub(super) version: u64,
    /// The store's revision. None until the feed's first snapshot is complete, and again after the
    /// store was replaced.
    pub(super) revision: Option<Revision>,
    pub(super) rights: Rights,
    pub(super) guests: Table,
    /// The members, and nodes that have ever reported, by name.
    pub(super) nodes: BTreeMap<Arc<str>, Stamped<Arc<NodeRow>>>,
    pub(super) storages: Arc<BTreeMap<Box<str>, Stamped<StorageRow>>>,
    /// Open alerts, by id.
    pub(super) alerts: Arc<BTreeMap<Box<str>, Stamped<OpenAlert>>>,
    pub(super) gone: Arc<Gone>,
    /// The console that an administrator prefers.
    pub(super) console: Option<Arc<str>>,
    /// When this becomes outdated by time: a node has been silent for too long.
    pub(super) good_until: Option<Duration>,
    /// While the cluster has no majority: when its store was last heard.
    pub(super) last_contact: Option<Duration>,
}

impl Snapshot {
    /// Whether records have arrived, and the status of a node.
    pub(super) fn is_ready(&self) -> bool {
        let mut nodes = self.nodes.values();
        self.revision.is_some() && nodes.any(|node| node.value.has_reported)
    }

    /// An error before there is a replica of the store.
    pub(super) fn complete(&self) -> Result<(), Error> {
        let missing = || Error::unavailable("the node agent has not been heard yet");
        self.revision.map(|_| ()).ok_or_else(missing)
    }

    /// Logs that this version removed a row.
    pub(super) fn add_gone(&mut self, row: GoneRow) {
        Arc::make_mut(&mut self.gone).add(self.version, row);
    }

    /// This version may have removed any row.
    pub(super) fn forget_gone(&mut self) {
        Arc::make_mut(&mut self.gone).forget(self.version);
    }
}
