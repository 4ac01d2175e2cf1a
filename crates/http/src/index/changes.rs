//! Changes of `/cluster/resources` and of alerts for a caller since a version.
//!
//! Nothing is stored per caller: each row has the version of its last change, and the last rows
//! that were removed are logged. A slow caller therefore gets each changed row once, in its newest
//! state.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use bytes::Bytes;
use model::Error;
use model::schema::Values;
use proto::Identity;

use super::list::{Builder, List};
use super::node_status::Tick;
use super::resources::{self, Query, Wanted};
use super::sight::Sight;
use super::snapshot::{GoneRow, Snapshot};
use super::text::Shape;
use super::{Content, Index};
use crate::conditional::PROCESS;

/// The name of the operation.
pub(crate) const CHANGES: &str = "changes";

/// The state of a caller as text: `PROCESS-VERSION-SIGHT` in hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Revision {
    process: u64,
    version: u64,
    sight: u64,
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}-{:x}-{:x}", self.process, self.version, self.sight)
    }
}

impl FromStr for Revision {
    type Err = std::num::ParseIntError;

    /// Text of another form is an error. A revision of another process is valid, but unknown.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut numbers = text.splitn(3, '-');
        let mut next = || u64::from_str_radix(numbers.next().unwrap_or_default(), 16);
        Ok(Self {
            process: next()?,
            version: next()?,
            sight: next()?,
        })
    }
}

/// The state of a caller: all rows of `sight` at `version`.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    version: u64,
    sight: Arc<Sight>,
}

impl Seen {
    pub(crate) fn revision(&self) -> Revision {
        Revision {
            process: *PROCESS,
            version: self.version,
            sight: self.sight.number,
        }
    }
}

/// One message to a caller.
#[derive(Debug)]
pub(crate) struct Changes {
    /// The caller's state after it has applied the message.
    pub(crate) seen: Seen,
    /// `rows` is complete: the caller drops all rows that it has.
    reset: bool,
    rows: Arc<List>,
    /// Ids of rows that were removed, or that the caller may not see any more.
    gone: Vec<String>,
}

impl Changes {
    pub(crate) fn is_empty(&self) -> bool {
        !self.reset && self.rows.is_empty() && self.gone.is_empty()
    }

    /// The message as JSON text: the part before the rows, the rows, and the part after them.
    pub(crate) fn text(&self) -> (String, &[Bytes], String) {
        let (revision, reset) = (self.seen.revision(), u8::from(self.reset));
        let head = format!("{{\"revision\":\"{revision}\",\"reset\":{reset},\"rows\":");
        let gone = serde_json::json!(self.gone);
        (head, self.rows.pieces(), format!(",\"gone\":{gone}}}"))
    }
}

impl Index {
    /// The state that a caller returns with; none if the revision is of another process or if the
    /// caller's rights have changed since.
    pub(crate) fn seen(&self, who: &Identity, revision: Revision) -> Option<Seen> {
        let (snapshot, _) = self.now();
        let sight = self.sight(who, &snapshot);
        let is_known = revision.process == *PROCESS
            && revision.version <= snapshot.version
            && revision.sight == sight.number;
        is_known.then_some(Seen {
            version: revision.version,
            sight,
        })
    }

    /// The changes since a state. Complete if there is none, or if it is too old for the log.
    pub(crate) fn changes(&self, who: &Identity, seen: Option<&Seen>) -> Result<Changes, Error> {
        let (snapshot, tick) = self.now();
        snapshot.complete()?;
        let sight = self.sight(who, &snapshot);
        let gone = seen.and_then(|seen| {
            let gone = gone(&snapshot, seen, &sight)?;
            Some((seen, gone))
        });
        let now = Seen {
            version: snapshot.version,
            sight: Arc::clone(&sight),
        };
        let Some((seen, gone)) = gone else {
            // A cached list, which shares its texts with `/cluster/resources`.
            let rows = self.list_of(&snapshot, &sight, tick, Query::Resources(Wanted::Stream));
            return Ok(Changes {
                seen: now,
                reset: true,
                rows,
                gone: Vec::new(),
            });
        };
        let mut rows = Builder::new(tick);
        write(&snapshot, seen, &sight, tick, &mut rows);
        Ok(Changes {
            seen: now,
            reset: false,
            rows: Arc::new(rows.end(0).0),
            gone,
        })
    }
}

/// Writes the rows that have changed, and those that the caller could not see before.
fn write(snapshot: &Snapshot, seen: &Seen, sight: &Sight, tick: Tick, rows: &mut Builder) {
    let before = &seen.sight;
    let is_same = sight.number == before.number;
    let is_new = |changed: u64| changed > seen.version;
    for id in sight.pools.iter().filter(|id| !before.pools.contains(id)) {
        rows.row(&resources::pool_row(id), false);
    }
    let chunks = snapshot.guests.chunks().iter();
    let chunks = chunks.filter(|chunk| !is_same || is_new(chunk.changed()));
    rows.guests(chunks, Shape::Resource, sight, |guest| {
        is_new(guest.changed) || !before.guests.includes(&guest.vmid)
    });
    for (name, node) in &snapshot.nodes {
        let was_shown = before.nodes.includes::<str>(name) == sight.nodes.includes::<str>(name);
        if is_new(node.changed) || !was_shown {
            rows.row(&resources::node_row(name, &node.value, sight, tick), false);
        }
        for (id, row) in resources::storages(snapshot, sight, name) {
            let is_new = is_new(row.changed) || is_new(node.changed);
            if is_new || !before.storages.includes(id) {
                rows.row(
                    &resources::storage_row(name, &node.value, id, &row.value),
                    false,
                );
            }
        }
    }
    for (_, row) in resources::alerts(snapshot, sight) {
        if is_new(row.changed) || !before.has_alerts_of(&row.value.alert.subject) {
            rows.row(&resources::alert_row(&row.value), false);
        }
    }
}

/// The ids of rows to remove; none if the state is too old for the log.
fn gone(snapshot: &Snapshot, seen: &Seen, sight: &Sight) -> Option<Vec<String>> {
    let before = &seen.sight;
    let mut gone: Vec<String> = snapshot
        .gone
        .since(seen.version)?
        .filter(|row| is_seen(before, row) && !is_there(snapshot, sight, row))
        .map(id_of)
        .collect();
    if before.number != sight.number {
        let chunks = snapshot.guests.chunks().iter();
        let guests = chunks.flat_map(|chunk| chunk.guests());
        let lost = guests.filter(|guest| {
            let was_seen = guest.added <= seen.version && before.guests.includes(&guest.vmid);
            was_seen && !sight.guests.includes(&guest.vmid)
        });
        gone.extend(lost.map(|guest| id_of(&GoneRow::Guest(guest.row.kind, guest.vmid))));
        for name in snapshot.nodes.keys() {
            let storages = resources::storages(snapshot, before, name);
            let lost = storages
                .filter(|(id, row)| row.added <= seen.version && !sight.storages.includes(*id));
            gone.extend(lost.map(|(id, _)| resources::storage_id(name, id)));
        }
        let alerts = resources::alerts(snapshot, before);
        let lost = alerts.filter(|(_, row)| {
            row.added <= seen.version && !sight.has_alerts_of(&row.value.alert.subject)
        });
        gone.extend(lost.map(|(id, _)| resources::alert_id(id)));
        let pools = before.pools.iter();
        let lost = pools.filter(|pool| !sight.pools.contains(pool));
        gone.extend(lost.map(resources::pool_id));
    }
    Some(gone)
}

fn is_seen(sight: &Sight, row: &GoneRow) -> bool {
    match row {
        GoneRow::Guest(_, vmid) => sight.guests.includes(vmid),
        GoneRow::Storage { id, .. } => sight.storages.includes::<str>(id),
        GoneRow::Alert { subject, .. } => sight.has_alerts_of(subject),
    }
}

/// Whether a removed row was added again.
fn is_there(snapshot: &Snapshot, sight: &Sight, row: &GoneRow) -> bool {
    match row {
        GoneRow::Guest(kind, vmid) => {
            let guest = snapshot.guests.get(*vmid);
            guest.is_some_and(|guest| guest.row.kind == *kind)
        }
        GoneRow::Storage { node, id } => {
            let storage = snapshot.storages.get(id);
            storage.is_some_and(|row| row.value.is_enabled_on(node))
        }
        GoneRow::Alert { id, .. } => {
            let alert = snapshot.alerts.get(id);
            alert.is_some_and(|row| sight.has_alerts_of(&row.value.alert.subject))
        }
    }
}

fn id_of(row: &GoneRow) -> String {
    match row {
        GoneRow::Guest(kind, vmid) => format!("{}/{vmid}", kind.as_str()),
        GoneRow::Storage { node, id } => resources::storage_id(node, id),
        GoneRow::Alert { id, .. } => resources::alert_id(id),
    }
}

/// The answer to a request without a websocket.
pub(super) fn changes(index: &Index, who: &Identity, params: &Values) -> Result<Content, Error> {
    let since = params.get("since").and_then(|since| since.as_str());
    let since = since.and_then(|since| since.parse().ok());
    let seen = since.and_then(|since| index.seen(who, since));
    let changes = index.changes(who, seen.as_ref())?;
    let (head, rows, tail) = changes.text();
    Ok(Content::Json(
        [head.as_bytes(), &rows.concat(), tail.as_bytes()].concat(),
    ))
}
