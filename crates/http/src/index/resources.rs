//! `/cluster/resources` and `/nodes`.

use std::time::Duration;

use auth::View;
use model::schema::Values;
use model::{Error, Privilege};
use proto::Identity;
use serde::ser::SerializeSeq;
use serde::{Serialize, Serializer};

use super::copy::{Copy, GuestRow, StorageRow};
use super::guests::{DiskFigures, Figures, word};
use super::observed::{GuestState, Observed};
use super::{Content, Index, json, known};

/// What a caller asks for: everything, or one type.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    All,
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
        self == Self::All || self == of
    }
}

#[derive(Serialize)]
struct Guest<'a> {
    id: String,
    vmid: u32,
    #[serde(rename = "type")]
    kind: &'static str,
    node: &'a str,
    status: &'static str,
    /// Left out as long as the node was never heard.
    #[serde(flatten)]
    known: Option<KnownGuest<'a>>,
}

#[derive(Serialize)]
struct KnownGuest<'a> {
    name: &'a str,
    template: u8,
    maxcpu: u32,
    maxmem: u64,
    maxdisk: u64,
    #[serde(flatten)]
    figures: Figures,
    #[serde(flatten)]
    disks: DiskFigures,
    #[serde(skip_serializing_if = "Option::is_none")]
    pool: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lock: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tags: Option<&'a str>,
}

#[derive(Serialize)]
struct Node<'a> {
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
struct Storage<'a> {
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
}

#[derive(Serialize)]
struct Pool<'a> {
    id: String,
    pool: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
}

/// Everything that a caller may see, written row by row as it is serialised.
struct Resources<'a> {
    copy: &'a Copy,
    observed: &'a Observed,
    view: &'a View<'a>,
    wanted: Wanted,
    now: Duration,
}

pub(super) fn cluster_resources(
    index: &Index,
    who: &Identity,
    params: &Values,
) -> Result<Content, Error> {
    let access = index.access();
    let view = access.view(who, index.clock.wall());
    let (follower, observed) = (index.follower(), index.observed());
    json(&Resources {
        copy: known(&follower)?,
        observed: &observed,
        view: &view,
        wanted: Wanted::new(params),
        now: index.clock.monotonic(),
    })
}

impl Serialize for Resources<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(None)?;
        if self.wanted == Wanted::All {
            self.pools(&mut list)?;
        }
        if self.wanted.has(Wanted::Guests) {
            for (vmid, row) in &self.copy.guests {
                if self.view.has(&format!("/vms/{vmid}"), Privilege::VmAudit) {
                    list.serialize_element(&self.guest(*vmid, row))?;
                }
            }
        }
        if self.wanted.has(Wanted::Nodes) {
            for name in self.observed.names() {
                let row = node_row(self.observed, self.view, name, self.now);
                list.serialize_element(&row)?;
            }
        }
        if self.wanted.has(Wanted::Storages) {
            self.storages(&mut list)?;
        }
        list.end()
    }
}

impl Resources<'_> {
    fn guest<'a>(&'a self, vmid: u32, row: &'a GuestRow) -> Guest<'a> {
        let state = self.observed.guest(&row.node, vmid, self.now);
        let pool = self.view.access().pool_of_guest(vmid);
        let known = (!matches!(state, GuestState::Unknown)).then(|| KnownGuest {
            name: &row.name,
            template: row.template.into(),
            maxcpu: row.cpus,
            maxmem: row.memory,
            maxdisk: row.disk,
            figures: Figures::of(row, state),
            disks: DiskFigures::of(state),
            pool: pool.map(|pool| pool.as_str()),
            lock: row.lock.as_deref(),
            tags: row.tags.as_deref(),
        });
        let kind = row.kind.as_str();
        Guest {
            id: format!("{kind}/{vmid}"),
            vmid,
            kind,
            node: &row.node,
            status: word(state),
            known,
        }
    }

    fn pools<L: SerializeSeq>(&self, list: &mut L) -> Result<(), L::Error> {
        for (id, _) in self.view.access().pools() {
            let path = format!("/pool/{id}");
            if self.view.has(&path, Privilege::PoolAudit) {
                list.serialize_element(&Pool {
                    id: path,
                    pool: id.as_str(),
                    kind: "pool",
                })?;
            }
        }
        Ok(())
    }

    fn storages<L: SerializeSeq>(&self, list: &mut L) -> Result<(), L::Error> {
        for node in self.observed.names() {
            for (id, row) in &self.copy.storages {
                let may = self
                    .view
                    .has(&format!("/storage/{id}"), Privilege::DatastoreAudit);
                if may && row.is_enabled_on(node) {
                    list.serialize_element(&self.storage(node, id, row))?;
                }
            }
        }
        Ok(())
    }

    fn storage<'a>(&'a self, node: &'a str, id: &'a str, row: &'a StorageRow) -> Storage<'a> {
        let seen = self
            .observed
            .node(node, self.now)
            .and_then(|node| node.storage(id));
        Storage {
            id: format!("storage/{node}/{id}"),
            storage: id,
            node,
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
        }
    }
}

/// A node as everybody may see it; what it uses, only for those who may look at it.
fn node_row<'a>(observed: &Observed, view: &View<'_>, name: &'a str, now: Duration) -> Node<'a> {
    let node = observed.node(name, now);
    let may = view.has(&format!("/nodes/{name}"), Privilege::SysAudit);
    let usage = node.and_then(|node| node.usage(now)).filter(|_| may);
    let known = usage.map(|(usage, uptime)| KnownNode {
        level: "",
        cpu: usage.cpu,
        maxcpu: usage.cpus,
        mem: usage.memory,
        maxmem: usage.memory_total,
        disk: usage.disk,
        maxdisk: usage.disk_total,
        uptime,
        cgroup: Some(usage.cgroup),
    });
    Node {
        id: format!("node/{name}"),
        node: name,
        kind: "node",
        status: if node.is_some() { "online" } else { "unknown" },
        known,
        ssl_fingerprint: None,
    }
}

pub(super) fn node_list(index: &Index, who: &Identity, _: &Values) -> Result<Content, Error> {
    let (access, now) = (index.access(), index.clock.monotonic());
    let view = access.view(who, index.clock.wall());
    let observed = index.observed();
    let rows: Vec<Node<'_>> = observed
        .names()
        .map(|name| {
            let mut row = node_row(&observed, &view, name, now);
            row.ssl_fingerprint = index.fingerprint.as_deref();
            if let Some(known) = &mut row.known {
                known.cgroup = None;
            }
            row
        })
        .collect();
    json(&rows)
}
