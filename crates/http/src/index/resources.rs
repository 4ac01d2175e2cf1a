//! `/cluster/resources` and `/nodes`.

use model::schema::Values;
use model::{Error, GuestKind, PoolId};
use proto::Identity;
use proto::alerts::OpenAlert;
use serde::Serialize;
use serde_json::Value;

use super::list::Builder;
use super::node_status::{NodeRow, Tick};
use super::replica::StorageRow;
use super::sight::Sight;
use super::snapshot::{Snapshot, Stamped};
use super::text::Shape;
use super::{Content, Index, json};

/// The query of a cached list.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Query {
    Resources(Wanted),
    /// The guests of one kind on one node.
    Guests {
        node: Box<str>,
        kind: GuestKind,
        shape: Shape,
    },
}

impl Query {
    pub(super) fn write(&self, snapshot: &Snapshot, sight: &Sight, tick: Tick, list: &mut Builder) {
        match self {
            Self::Resources(wanted) => write(snapshot, sight, *wanted, tick, list),
            Self::Guests { node, kind, shape } => {
                let chunks = snapshot.guests.chunks().iter();
                list.guests(chunks, *shape, sight, |guest| {
                    guest.row.kind == *kind && *guest.row.node == **node
                });
            }
        }
    }
}

/// What a caller asks for: everything, or one type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Wanted {
    All,
    /// Everything, and alerts: what the change stream has.
    Stream,
    Guests,
    Storages,
    Nodes,
    /// There are no networks of software in this version.
    Sdn,
}

impl Wanted {
    fn new(params: &Values) -> Self {
        match params.get("type").and_then(|of| of.as_str()) {
            Some("vm") => Self::Guests,
            Some("storage") => Self::Storages,
            Some("node") => Self::Nodes,
            Some("sdn") => Self::Sdn,
            _ => Self::All,
        }
    }

    fn has(self, of: Self) -> bool {
        matches!(self, Self::All | Self::Stream) || self == of
    }
}

#[derive(Serialize)]
pub(super) struct Node<'a> {
    id: String,
    node: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    status: &'static str,
    #[serde(flatten)]
    known: Option<KnownNode>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ssl_fingerprint: Option<&'a str>,
}

#[derive(Serialize)]
struct KnownNode {
    level: &'static str,
    cpu: f64,
    maxcpu: u32,
    mem: u64,
    maxmem: u64,
    disk: u64,
    maxdisk: u64,
    uptime: u64,
    #[serde(rename = "cgroup-mode", skip_serializing_if = "Option::is_none")]
    cgroup: Option<u8>,
}

#[derive(Serialize)]
pub(super) struct Storage<'a> {
    id: String,
    storage: &'a str,
    node: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    plugintype: &'a str,
    content: String,
    shared: u8,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    disk: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    maxdisk: Option<u64>,
    #[serde(rename = "unreachable-since", skip_serializing_if = "Option::is_none")]
    unreachable_since: Option<i64>,
}

#[derive(Serialize)]
pub(super) struct Pool<'a> {
    id: String,
    pool: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
}

pub(super) fn cluster_resources(
    index: &Index,
    who: &Identity,
    params: &Values,
) -> Result<Content, Error> {
    let asked = Query::Resources(Wanted::new(params));
    index.list(who, asked).map(Content::List)
}

/// Writes the wanted rows that the caller may see.
pub(super) fn write(
    snapshot: &Snapshot,
    sight: &Sight,
    wanted: Wanted,
    tick: Tick,
    list: &mut Builder,
) {
    if matches!(wanted, Wanted::All | Wanted::Stream) {
        for id in &sight.pools {
            list.row(&pool_row(id), false);
        }
    }
    if wanted.has(Wanted::Guests) {
        let chunks = snapshot.guests.chunks().iter();
        list.guests(chunks, Shape::Resource, sight, |_| true);
    }
    if wanted.has(Wanted::Nodes) {
        for (name, node) in &snapshot.nodes {
            let row = node_row(name, &node.value, sight, tick);
            list.row(&row, row.known.is_some());
        }
    }
    if wanted.has(Wanted::Storages) {
        for (name, node) in &snapshot.nodes {
            for (id, row) in storages(snapshot, sight, name) {
                list.row(&storage_row(name, &node.value, id, &row.value), false);
            }
        }
    }
    if wanted == Wanted::Stream {
        for (_, row) in alerts(snapshot, sight) {
            list.row(&alert_row(&row.value), false);
        }
    }
}

/// The storages of a node that the caller may see.
pub(super) fn storages<'a>(
    snapshot: &'a Snapshot,
    sight: &'a Sight,
    node: &'a str,
) -> impl Iterator<Item = (&'a str, &'a Stamped<StorageRow>)> {
    let storages = snapshot.storages.iter().map(|(id, row)| (&**id, row));
    storages.filter(move |(id, row)| sight.storages.includes(*id) && row.value.is_enabled_on(node))
}

/// The alerts that the caller may see.
pub(super) fn alerts<'a>(
    snapshot: &'a Snapshot,
    sight: &'a Sight,
) -> impl Iterator<Item = (&'a str, &'a Stamped<OpenAlert>)> {
    let alerts = snapshot.alerts.iter().map(|(id, row)| (&**id, row));
    alerts.filter(|(_, row)| sight.has_alerts_of(&row.value.alert.subject))
}

pub(super) fn alert_id(id: &str) -> String {
    format!("alert/{id}")
}

/// An alert as a row among others: its own id is in `alert`.
pub(super) fn alert_row(open: &OpenAlert) -> Value {
    let mut row = open.row();
    row["type"] = "alert".into();
    row["alert"] = row["id"].take();
    row["id"] = alert_id(&open.alert.id).into();
    row
}

pub(super) fn pool_id(id: &PoolId) -> String {
    format!("/pool/{id}")
}

pub(super) fn pool_row(id: &PoolId) -> Pool<'_> {
    Pool {
        id: pool_id(id),
        pool: id.as_str(),
        kind: "pool",
    }
}

pub(super) fn storage_id(node: &str, id: &str) -> String {
    format!("storage/{node}/{id}")
}

pub(super) fn storage_row<'a>(
    name: &'a str,
    node: &NodeRow,
    id: &'a str,
    row: &'a StorageRow,
) -> Storage<'a> {
    let seen = node.storage(id);
    Storage {
        id: storage_id(name, id),
        storage: id,
        node: name,
        kind: "storage",
        plugintype: &row.kind,
        content: row.content.join(","),
        shared: row.is_shared().into(),
        status: if seen.is_some() {
            "available"
        } else {
            "unknown"
        },
        disk: seen.map(|usage| usage.used),
        maxdisk: seen.map(|usage| usage.total),
        unreachable_since: node.unreachable_since(id),
    }
}

/// A node as every caller may see it; its usage only for callers with Sys.Audit.
pub(super) fn node_row<'a>(name: &'a str, node: &NodeRow, sight: &Sight, tick: Tick) -> Node<'a> {
    let may = sight.nodes.includes(name);
    let usage = node.usage.as_ref().filter(|_| node.is_heard && may);
    let known = usage.map(|(usage, uptime)| KnownNode {
        level: "",
        cpu: usage.cpu,
        maxcpu: usage.cpus,
        mem: usage.memory,
        maxmem: usage.memory_total,
        disk: usage.disk,
        maxdisk: usage.disk_total,
        uptime: uptime.at(tick),
        cgroup: Some(usage.cgroup),
    });
    Node {
        id: format!("node/{name}"),
        node: name,
        kind: "node",
        status: match node {
            NodeRow { is_heard: true, .. } => "online",
            NodeRow {
                is_offline: true, ..
            } => "offline",
            _ => "unknown",
        },
        known,
        ssl_fingerprint: None,
    }
}

pub(super) fn node_list(index: &Index, who: &Identity, _: &Values) -> Result<Content, Error> {
    let (snapshot, tick) = index.now();
    let sight = index.sight(who, &snapshot);
    let served = index.served();
    let rows: Vec<Node<'_>> = snapshot
        .nodes
        .iter()
        .map(|(name, node)| {
            let mut row = node_row(name, &node.value, &sight, tick);
            let own = served.as_deref();
            let own = own.filter(|served| served.node == **name);
            row.ssl_fingerprint = own.map(|served| &*served.fingerprint);
            if let Some(known) = &mut row.known {
                known.cgroup = None;
            }
            row
        })
        .collect();
    json(&rows)
}
