//! What this agent knows of the kernel's server.

use std::collections::{BTreeMap, BTreeSet};

use model::StorageId;
use tokio::sync::Mutex;

/// Held while the kernel is told what to export.
#[derive(Default)]
pub(crate) struct Told(pub(super) Mutex<State>);

#[derive(Default)]
pub(super) struct State {
    /// The kernel was told what the file of exports says.
    pub(super) is_told: bool,
    /// What the file says of each storage.
    pub(super) lines: BTreeMap<StorageId, String>,
    /// Why some storages have no line.
    pub(super) skipped: BTreeSet<String>,
}
