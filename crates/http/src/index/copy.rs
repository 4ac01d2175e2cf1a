//! What is kept of the store: a packed row for each guest and storage, and the rights.
//!
//! A record is decoded once, when it changes, and what lists show of it is kept. Ten thousand
//! guests take a few megabytes this way.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use auth::Access;
use model::{GuestKind, GuestRecord, NodeName, Record, StorageId};
use proto::GuestFigures;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::remote::FeedMessage;
use store::{Change, Changes, Entry, Key, Revision};
use tracing::error;

/// Why a message cannot be taken. The connection should be made again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the feed sent {0}")]
pub(super) struct FeedError(String);

/// What lists show of a guest's record.
#[derive(Debug)]
pub(super) struct GuestRow {
    pub(super) kind: GuestKind,
    pub(super) template: bool,
    pub(super) serial: bool,
    pub(super) cpus: u32,
    pub(super) memory: u64,
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

/// The store at one revision.
#[derive(Debug, Default)]
pub(super) struct Copy {
    pub(super) revision: Revision,
    pub(super) guests: BTreeMap<u32, GuestRow>,
    pub(super) storages: BTreeMap<Box<str>, StorageRow>,
    /// The console that an administrator prefers.
    pub(super) console: Option<String>,
    /// Rows share their nodes' names.
    nodes: BTreeSet<Arc<str>>,
}

#[derive(Serialize, Deserialize)]
struct Options {
    #[serde(default)]
    options: BTreeMap<String, Value>,
}

impl Copy {
    fn put(&mut self, entry: &Entry) {
        let taken = match entry.key.as_str().split_once('/') {
            Some(("guest", vmid)) => self.put_guest(vmid, &entry.value),
            Some(("storage", id)) => decode::<StorageRow>(&entry.value)
                .map(|row| drop(self.storages.insert(id.into(), row))),
            Some(("cluster", "options")) => decode::<Options>(&entry.value).map(|record| {
                let console = record.options.get("console").and_then(Value::as_str);
                self.console = console.map(str::to_owned);
            }),
            _ => Some(()),
        };
        if taken.is_none() {
            error!(key = %entry.key, "cannot read this record, lists do not show it");
            self.remove(&entry.key);
        }
    }

    fn put_guest(&mut self, vmid: &str, value: &[u8]) -> Option<()> {
        let guest: GuestRecord = decode(value)?;
        let figures = GuestFigures::of(&guest);
        let row = GuestRow {
            kind: guest.kind,
            template: figures.template,
            serial: figures.serial,
            cpus: figures.cpus,
            memory: figures.memory,
            disk: figures.disk,
            node: self.intern(guest.node.as_str()),
            name: figures.name.into(),
            tags: figures.tags.map(Into::into),
            lock: figures.lock.map(Into::into),
        };
        self.guests.insert(vmid.parse().ok()?, row);
        Some(())
    }

    fn intern(&mut self, node: &str) -> Arc<str> {
        if let Some(known) = self.nodes.get(node) {
            return Arc::clone(known);
        }
        let name: Arc<str> = node.into();
        self.nodes.insert(Arc::clone(&name));
        name
    }

    fn remove(&mut self, key: &Key) {
        match key.as_str().split_once('/') {
            Some(("guest", vmid)) => {
                if let Ok(vmid) = vmid.parse() {
                    self.guests.remove(&vmid);
                }
            }
            Some(("storage", id)) => drop(self.storages.remove(id)),
            Some(("cluster", "options")) => self.console = None,
            _ => {}
        }
    }
}

fn decode<T: Serialize + serde::de::DeserializeOwned>(value: &[u8]) -> Option<T> {
    Record::decode(value).ok().map(|record| record.data)
}

/// A copy, the rights in it, and the snapshot that is being received. One for each index; a new
/// connection begins with `reconnect`.
#[derive(Debug, Default)]
pub(super) struct Follower {
    /// None until the first snapshot is complete, and again after the store was replaced.
    pub(super) copy: Option<Copy>,
    pub(super) access: Arc<Access>,
    /// Changes with every change of users, tokens and rights.
    pub(super) generation: u64,
    /// What has arrived of a snapshot, with the entries that are about rights.
    arriving: Option<(Copy, Vec<Change>)>,
    /// One snapshot of this connection is complete.
    connected: bool,
}

impl Follower {
    /// What came before on another connection says nothing about what comes next.
    pub(super) fn reconnect(&mut self) {
        self.arriving = None;
        self.connected = false;
    }

    pub(super) fn accept(&mut self, message: FeedMessage) -> Result<(), FeedError> {
        match message {
            FeedMessage::SnapshotPage {
                entries,
                revision,
                last,
            } => {
                self.take_page(entries, revision, last);
                Ok(())
            }
            FeedMessage::Changes(changes) => self.take_changes(changes),
            FeedMessage::Moved => {
                self.reconnect();
                self.copy = None;
                Ok(())
            }
        }
    }

    fn take_page(&mut self, entries: Vec<Entry>, revision: Revision, last: bool) {
        // Pages of another revision belong to a snapshot that was begun again.
        let begun = self
            .arriving
            .take()
            .filter(|(copy, _)| copy.revision == revision);
        let (mut copy, mut rights) = begun.unwrap_or_default();
        copy.revision = revision;
        for entry in entries {
            if is_right(&entry.key) {
                rights.push(Change::Put(entry));
            } else {
                copy.put(&entry);
            }
        }
        if !last {
            self.arriving = Some((copy, rights));
            return;
        }
        let mut access = Access::default();
        access.apply(&Changes {
            revision,
            changes: rights,
        });
        self.access = Arc::new(access);
        self.generation += 1;
        self.copy = Some(copy);
        self.connected = true;
    }

    fn take_changes(&mut self, changes: Changes) -> Result<(), FeedError> {
        let is_ready = self.connected && self.arriving.is_none();
        let Some(copy) = self.copy.as_mut().filter(|_| is_ready) else {
            return Err(FeedError("changes before a snapshot".to_owned()));
        };
        if changes.revision <= copy.revision {
            let text = format!("revision {} after {}", changes.revision.0, copy.revision.0);
            return Err(FeedError(text));
        }
        copy.revision = changes.revision;
        let (rights, others): (Vec<Change>, Vec<Change>) = changes
            .changes
            .into_iter()
            .partition(|change| is_right(key_of(change)));
        for change in others {
            match change {
                Change::Put(entry) => copy.put(&entry),
                Change::Delete { key, .. } => copy.remove(&key),
            }
        }
        if !rights.is_empty() {
            let changes = Changes {
                revision: changes.revision,
                changes: rights,
            };
            Arc::make_mut(&mut self.access).apply(&changes);
            self.generation += 1;
        }
        Ok(())
    }
}

fn is_right(key: &Key) -> bool {
    auth::keys::all().contains(key)
}

fn key_of(change: &Change) -> &Key {
    match change {
        Change::Put(entry) => &entry.key,
        Change::Delete { key, .. } => key,
    }
}
