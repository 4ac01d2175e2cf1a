//! Everything that lists are made from, as it was at one moment. Never changes: what follows is
//! another snapshot, which shares what is the same.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use model::{Error, GuestKind};
use store::Revision;

use super::node_status::NodeRow;
use super::replica::StorageRow;
use super::sight::Rights;
use super::table::Table;

/// How many rows that have gone are kept.
const KEPT: usize = 1000;

/// A value, and the versions that added it and changed it last.
#[derive(Debug, Clone)]
pub(super) struct Stamped<T> {
    pub(super) added: u64,
    pub(super) changed: u64,
    pub(super) value: T,
}

/// A row that was there and is not any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum GoneRow {
    Guest(GuestKind, u32),
    Storage { node: Arc<str>, id: Box<str> },
}

/// The newest rows that have gone, with the versions that took them.
#[derive(Debug, Clone, Default)]
pub(super) struct Gone {
    rows: VecDeque<(u64, GoneRow)>,
    /// What went at this version or before it is not known any more.
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

    /// Everything may have gone.
    pub(super) fn forget(&mut self, version: u64) {
        self.rows.clear();
        self.forgotten = version;
    }

    /// What has gone after a version; none where that is not known.
    pub(super) fn since(&self, version: u64) -> Option<impl Iterator<Item = &GoneRow>> {
        let begin = self.rows.partition_point(|(gone, _)| *gone <= version);
        let rows = self.rows.range(begin..).map(|(_, row)| row);
        (version >= self.forgotten).then_some(rows)
    }
}

#[derive(Debug, Clone, Default)]
pub(super) struct Snapshot {
    /// Grows with every change of anything here.
    pub(super) version: u64,
    /// Of the store. None until the first snapshot of the feed is complete, and again after the
    /// store was replaced.
    pub(super) revision: Option<Revision>,
    pub(super) rights: Rights,
    pub(super) guests: Table,
    /// The nodes that have ever said something, by name.
    pub(super) nodes: BTreeMap<Arc<str>, Stamped<Arc<NodeRow>>>,
    pub(super) storages: Arc<BTreeMap<Box<str>, Stamped<StorageRow>>>,
    pub(super) gone: Arc<Gone>,
    /// The console that an administrator prefers.
    pub(super) console: Option<Arc<str>>,
    /// When a node will have been silent for so long that this is not true any more.
    pub(super) good_until: Option<Duration>,
}

impl Snapshot {
    /// An error before there is a replica of the store.
    pub(super) fn complete(&self) -> Result<(), Error> {
        let missing = || Error::unavailable("the node agent has not been heard yet");
        self.revision.map(|_| ()).ok_or_else(missing)
    }

    /// Takes down that a row has gone with this version.
    pub(super) fn add_gone(&mut self, row: GoneRow) {
        Arc::make_mut(&mut self.gone).add(self.version, row);
    }

    /// Any row may have gone with this version.
    pub(super) fn forget_gone(&mut self) {
        Arc::make_mut(&mut self.gone).forget(self.version);
    }
}
