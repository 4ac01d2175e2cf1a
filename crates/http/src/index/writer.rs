//! The one consumer of the agent's feed: applies each message to the next snapshot.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use auth::Access;
use auth::keys::Subject;
use proto::alerts::OpenAlert;
use proto::status::StatusUpdate;
use store::remote::{FeedError, FeedMessage, ReplicaFeed, Step};
use store::{Change, Changes, Entry, Key, Revision};

use super::node_status::{NodeStatus, Touched};
use super::replica::{self, GuestRow, Reader, StorageRow};
use super::snapshot::{GoneRow, Snapshot, Stamped};
use super::table::{Guest, Table};

/// The received part of a feed's snapshot.
#[derive(Default)]
struct Arriving {
    guests: BTreeMap<u32, Arc<GuestRow>>,
    storages: BTreeMap<Box<str>, StorageRow>,
    members: BTreeSet<Arc<str>>,
    console: Option<Arc<str>>,
    rights: Vec<Change>,
}

impl Arriving {
    fn take(&mut self, entry: Entry, reader: &mut Reader) {
        if is_right(&entry.key) {
            self.rights.push(Change::Put(entry));
            return;
        }
        match reader.put(&entry) {
            Some(replica::Change::Guest(vmid, Some(row))) => {
                self.guests.insert(vmid, Arc::new(row));
            }
            Some(replica::Change::Storage(id, Some(row))) => {
                self.storages.insert(id, row);
            }
            Some(replica::Change::Member(node, true)) => {
                self.members.insert(node);
            }
            Some(replica::Change::Console(console)) => self.console = console,
            _ => {}
        }
    }
}

#[derive(Default)]
pub(super) struct Writer {
    feed: ReplicaFeed,
    reader: Reader,
    arriving: Arriving,
    status: NodeStatus,
    /// The nodes that have a record.
    members: BTreeSet<Arc<str>>,
    next: Snapshot,
}

impl Writer {
    /// Prepares for a new connection: it begins with a snapshot of its own.
    pub(super) fn reconnect(&mut self) {
        self.feed = ReplicaFeed::default();
        self.arriving = Arriving::default();
        self.next.last_contact = None;
    }

    /// Notes whether the agent's store has a majority.
    pub(super) fn take_outage(&mut self, age_s: Option<u64>, now: Duration) {
        let contact = |age_s| now.saturating_sub(Duration::from_secs(age_s));
        self.next.last_contact = age_s.map(contact);
    }

    /// The current state.
    pub(super) fn snapshot(&self) -> Snapshot {
        self.next.clone()
    }

    /// Applies a message about the store.
    pub(super) fn take_store(&mut self, message: FeedMessage) -> Result<(), FeedError> {
        let step = self.feed.accept(message)?;
        self.next.version += 1;
        match step {
            Step::Page {
                entries,
                revision,
                first,
                last,
            } => {
                if first {
                    self.arriving = Arriving::default();
                }
                for entry in entries {
                    self.arriving.take(entry, &mut self.reader);
                }
                if last {
                    self.complete(revision);
                }
            }
            Step::Changes(changes) => self.apply(changes),
            Step::Forget => {
                self.arriving = Arriving::default();
                self.next.revision = None;
                self.next.guests = Table::default();
                self.next.forget_gone();
            }
        }
        Ok(())
    }

    /// Replaces everything by the received snapshot.
    fn complete(&mut self, revision: Revision) {
        let arrived = std::mem::take(&mut self.arriving);
        let mut access = Access::default();
        access.apply(&Changes {
            revision,
            changes: arrived.rights,
        });
        self.next.rights.access = Arc::new(access);
        self.next.rights.generation += 1;
        let guests = arrived.guests.into_iter();
        let guests: Table = guests.map(|(vmid, row)| self.guest(vmid, row)).collect();
        self.next.guests = guests;
        let storages = arrived.storages.into_iter();
        let storages = storages.map(|(id, row)| (id, self.stamped(row, None)));
        self.next.storages = Arc::new(storages.collect());
        let is_gone = |node: &&Arc<str>| !arrived.members.contains(*node);
        let known = std::mem::replace(&mut self.members, arrived.members.clone());
        for node in known.iter().filter(is_gone) {
            self.remove_node(node);
        }
        for node in &arrived.members {
            self.expect_node(node);
        }
        self.next.forget_gone();
        self.next.console = arrived.console;
        self.next.revision = Some(revision);
    }

    /// Applies one commit.
    fn apply(&mut self, changes: Changes) {
        let revision = changes.revision;
        self.next.revision = Some(revision);
        let changes = changes.changes.into_iter();
        let (rights, others): (Vec<Change>, Vec<Change>) =
            changes.partition(|change| is_right(key_of(change)));
        if !rights.is_empty() {
            let pools = rights.iter().any(|change| is_pool(key_of(change)));
            let changes = Changes {
                revision,
                changes: rights,
            };
            Arc::make_mut(&mut self.next.rights.access).apply(&changes);
            self.next.rights.generation += 1;
            if pools {
                self.regroup();
            }
        }
        for change in others {
            let change = match change {
                Change::Put(entry) => self.reader.put(&entry),
                Change::Delete { key, .. } => replica::removed(&key),
            };
            if let Some(change) = change {
                self.take_record(change);
            }
        }
    }

    fn take_record(&mut self, change: replica::Change) {
        match change {
            replica::Change::Guest(vmid, Some(row)) => {
                let mut guest = self.guest(vmid, Arc::new(row));
                let before = self.next.guests.get(vmid);
                match before.map(|before| (before.row.kind, before.added)) {
                    Some((kind, added)) if kind == guest.row.kind => guest.added = added,
                    Some((kind, _)) => self.next.add_gone(GoneRow::Guest(kind, vmid)),
                    None => {}
                }
                self.next.guests.put(guest);
            }
            replica::Change::Guest(vmid, None) => {
                if let Some(guest) = self.next.guests.remove(vmid) {
                    self.next.add_gone(GoneRow::Guest(guest.row.kind, vmid));
                }
            }
            replica::Change::Storage(id, row) => self.take_storage(id, row),
            replica::Change::Member(node, true) => {
                self.members.insert(Arc::clone(&node));
                self.expect_node(&node);
            }
            replica::Change::Member(node, false) => {
                self.members.remove(&node);
                self.remove_node(&node);
            }
            replica::Change::Console(console) => self.next.console = console,
        }
    }

    /// A member is shown before it has reported.
    fn expect_node(&mut self, node: &Arc<str>) {
        if self.status.row(node).is_none() {
            self.status.expect(node);
            self.show_node(node);
        }
    }

    fn remove_node(&mut self, node: &Arc<str>) {
        self.status.forget(node);
        self.look_at_all(node);
        if self.next.nodes.remove(node).is_some() {
            // The rows of its storages are gone too.
            self.next.forget_gone();
        }
        self.next.good_until = self.status.next_silence();
    }

    fn take_storage(&mut self, id: Box<str>, row: Option<StorageRow>) {
        let enabled =
            |row: Option<&StorageRow>, node: &str| row.is_some_and(|row| row.is_enabled_on(node));
        let before = self.next.storages.get(&id).map(|row| &row.value);
        let names = self.next.nodes.keys();
        let gone = names.filter(|node| enabled(before, node) && !enabled(row.as_ref(), node));
        let gone: Vec<Arc<str>> = gone.cloned().collect();
        for node in gone {
            let id = id.clone();
            self.next.add_gone(GoneRow::Storage { node, id });
        }
        let row = row.map(|row| self.stamped(row, self.next.storages.get(&id)));
        let storages = Arc::make_mut(&mut self.next.storages);
        match row {
            Some(row) => drop(storages.insert(id, row)),
            None => drop(storages.remove(&id)),
        }
    }

    /// A value with this version, added by the version that added the value before it.
    fn stamped<T>(&self, value: T, before: Option<&Stamped<T>>) -> Stamped<T> {
        let changed = self.next.version;
        Stamped {
            added: before.map_or(changed, |before| before.added),
            changed,
            value,
        }
    }

    /// A guest of a record, with its pool and state.
    fn guest(&self, vmid: u32, row: Arc<GuestRow>) -> Guest {
        Guest {
            vmid,
            added: self.next.version,
            changed: self.next.version,
            pool: self.pool_of(vmid),
            state: self.status.guest(&row.node, vmid),
            row,
        }
    }

    fn pool_of(&self, vmid: u32) -> Option<Arc<str>> {
        let pool = self.next.rights.access.pool_of_guest(vmid)?;
        Some(pool.as_str().into())
    }

    /// Updates the pool of every guest.
    fn regroup(&mut self) {
        let access = Arc::clone(&self.next.rights.access);
        let changed = self.next.version;
        self.next.guests.update_all(|guest| {
            let pool = access.pool_of_guest(guest.vmid).map(|pool| pool.as_str());
            (pool != guest.pool.as_deref()).then(|| Guest {
                changed,
                pool: pool.map(Arc::from),
                ..guest.clone()
            })
        });
    }

    /// Applies a status report of a node.
    pub(super) fn take_status(&mut self, update: StatusUpdate, now: Duration) {
        self.next.version += 1;
        let node: Arc<str> = update.node.as_str().into();
        let says_more = update.usage.is_some() || update.storages.is_some();
        let touched = self.status.accept(update, now);
        match touched {
            Touched::All => self.look_at_all(&node),
            Touched::These(vmids) => {
                let (status, version) = (&self.status, self.next.version);
                for vmid in vmids {
                    self.next.guests.update(vmid, |guest| {
                        let is_here = guest.row.node == node;
                        is_here.then(|| seen(guest, status, version)).flatten()
                    });
                }
                if says_more {
                    self.show_node(&node);
                }
            }
        }
        self.next.good_until = self.status.next_silence();
    }

    /// Applies the list of all alerts.
    pub(super) fn take_alerts(&mut self, list: Vec<OpenAlert>) {
        self.next.version += 1;
        let before = Arc::clone(&self.next.alerts);
        let alerts = list.into_iter().map(|open| {
            let id: Box<str> = open.alert.id.as_str().into();
            let row = match before.get(&id) {
                Some(known) if known.value == open => known.clone(),
                known => self.stamped(open, known),
            };
            (id, row)
        });
        let alerts: BTreeMap<_, _> = alerts.collect();
        // A guest's alert becomes its node's when the guest is destroyed.
        let is_gone = |id: &str, open: &OpenAlert| {
            let now = alerts.get(id).map(|row| &row.value.alert.subject);
            now != Some(&open.alert.subject)
        };
        for (id, row) in before.iter().filter(|(id, row)| is_gone(id, &row.value)) {
            self.next.add_gone(GoneRow::Alert {
                id: id.clone(),
                subject: row.value.alert.subject.clone(),
            });
        }
        self.next.alerts = Arc::new(alerts);
    }

    /// Marks nodes that have been silent for too long.
    pub(super) fn fall_silent(&mut self, now: Duration) {
        self.next.version += 1;
        for node in self.status.fall_silent(now) {
            self.look_at_all(&node);
        }
        self.next.good_until = self.status.next_silence();
    }

    fn look_at_all(&mut self, node: &Arc<str>) {
        let (status, version) = (&self.status, self.next.version);
        self.next.guests.update_all(|guest| {
            let is_here = guest.row.node == *node;
            is_here.then(|| seen(guest, status, version)).flatten()
        });
        self.show_node(node);
    }

    fn show_node(&mut self, node: &Arc<str>) {
        if let Some(row) = self.status.row(node) {
            let row = self.stamped(Arc::new(row.clone()), self.next.nodes.get(node));
            self.next.nodes.insert(Arc::clone(node), row);
        }
    }
}

/// The guest with the state that its node reports, if that has changed.
fn seen(guest: &Guest, status: &NodeStatus, version: u64) -> Option<Guest> {
    let state = status.guest(&guest.row.node, guest.vmid);
    (!state.is_same(&guest.state)).then(|| Guest {
        changed: version,
        state,
        ..guest.clone()
    })
}

fn is_right(key: &Key) -> bool {
    auth::keys::all().contains(key)
}

fn is_pool(key: &Key) -> bool {
    matches!(auth::keys::subject(key), Some(Subject::Pool(_)))
}

fn key_of(change: &Change) -> &Key {
    match change {
        Change::Put(entry) => &entry.key,
        Change::Delete { key, .. } => key,
    }
}
