//! The part of the store's records that lists show.
//!
//! A record is decoded once per change; only this part of it is kept.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use model::{GuestKind, GuestRecord, NodeName, Record, StorageId};
use proto::GuestFigures;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::{Entry, Key};
use tracing::error;

/// What lists show of a guest's record.
#[derive(Debug)]
pub(super) struct GuestRow {
    pub(super) kind: GuestKind,
    pub(super) template: bool,
    pub(super) serial: bool,
    pub(super) cpus: u32,
    pub(super) memory: u64,
    pub(super) swap: u64,
    pub(super) disk: u64,
    pub(super) node: Arc<str>,
    pub(super) name: Box<str>,
    pub(super) tags: Option<Box<str>>,
    pub(super) lock: Option<Box<str>>,
}

/// What lists show of a storage's record.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct StorageRow {
    pub(super) id: StorageId,
    #[serde(rename = "type")]
    pub(super) kind: String,
    #[serde(default)]
    pub(super) content: Vec<String>,
    #[serde(default)]
    nodes: Option<Vec<NodeName>>,
    #[serde(default)]
    disable: Option<bool>,
    #[serde(default)]
    shared: Option<bool>,
}

impl StorageRow {
    pub(super) fn is_enabled_on(&self, node: &str) -> bool {
        let here = self.nodes.as_ref();
        let here = here.is_none_or(|nodes| nodes.iter().any(|name| name.as_str() == node));
        here && self.disable != Some(true)
    }

    pub(super) fn is_shared(&self) -> bool {
        self.shared == Some(true)
    }
}

/// A change of a record; none if it was deleted or cannot be read.
pub(super) enum Change {
    Guest(u32, Option<GuestRow>),
    Storage(Box<str>, Option<StorageRow>),
    /// A member of the cluster is there, or not.
    Member(Arc<str>, bool),
    /// The console that an administrator prefers.
    Console(Option<Arc<str>>),
}

#[derive(Serialize, Deserialize)]
struct Options {
    #[serde(default)]
    options: BTreeMap<String, Value>,
}

/// Decodes records. Rows share the names of nodes.
#[derive(Debug, Default)]
pub(super) struct Reader {
    nodes: BTreeSet<Arc<str>>,
}

impl Reader {
    /// The change for a written record; none if lists do not show it.
    pub(super) fn put(&mut self, entry: &Entry) -> Option<Change> {
        let mut change = removed(&entry.key)?;
        let is_read = match &mut change {
            Change::Guest(_, row) => {
                *row = self.guest(&entry.value);
                row.is_some()
            }
            Change::Storage(_, row) => {
                *row = decode(&entry.value);
                row.is_some()
            }
            Change::Member(_, is_there) => {
                *is_there = true;
                true
            }
            Change::Console(console) => {
                let options: Option<Options> = decode(&entry.value);
                let named = options.as_ref().and_then(|record| {
                    let console = record.options.get("console")?;
                    console.as_str().map(Arc::from)
                });
                *console = named;
                options.is_some()
            }
        };
        if !is_read {
            error!(key = %entry.key, "cannot read this record, lists do not show it");
        }
        Some(change)
    }

    fn guest(&mut self, value: &[u8]) -> Option<GuestRow> {
        let guest: GuestRecord = decode(value)?;
        let figures = GuestFigures::of(&guest);
        Some(GuestRow {
            kind: guest.kind,
            template: figures.template,
            serial: figures.serial,
            cpus: figures.cpus,
            memory: figures.memory,
            swap: figures.swap,
            disk: figures.disk,
            node: self.intern(guest.node.as_str()),
            name: figures.name.into(),
            tags: figures.tags.map(Into::into),
            lock: figures.lock.map(Into::into),
        })
    }

    fn intern(&mut self, node: &str) -> Arc<str> {
        if let Some(known) = self.nodes.get(node) {
            return Arc::clone(known);
        }
        let name: Arc<str> = node.into();
        self.nodes.insert(Arc::clone(&name));
        name
    }
}

/// The change for a deleted record; none if lists do not show it.
pub(super) fn removed(key: &Key) -> Option<Change> {
    match key.as_str().split_once('/')? {
        ("guest", vmid) => Some(Change::Guest(vmid.parse().ok()?, None)),
        ("storage", id) => Some(Change::Storage(id.into(), None)),
        ("member", node) => Some(Change::Member(node.into(), false)),
        ("cluster", "options") => Some(Change::Console(None)),
        _ => None,
    }
}

fn decode<T: Serialize + serde::de::DeserializeOwned>(value: &[u8]) -> Option<T> {
    Record::decode(value).ok().map(|record| record.data)
}
