//! What this agent knows of the kernel's server.

use std::collections::{BTreeMap, BTreeSet};

use model::StorageId;
use tokio::sync::Mutex;

/// Held while the kernel reads what to export.
#[derive(Default)]
pub(crate) struct Served(pub(super) Mutex<State>);

#[derive(Default)]
pub(super) struct State {
    /// The kernel has read the file of exports.
    pub(super) is_read: bool,
    /// What the file says of each storage.
    pub(super) lines: BTreeMap<StorageId, String>,
    /// Why some storages have no line.
    pub(super) skipped: BTreeSet<String>,
}
