//! Guests in lists: `/nodes/{node}/qemu`, and their figures in `/cluster/resources`.

use std::collections::BTreeMap;

use model::schema::Values;
use model::{Error, GuestKind};
use proto::Identity;
use proto::status::GuestUsage;
use serde::Serialize;

use super::node_status::{GuestState, Tick};
use super::replica::GuestRow;
use super::resources::Query;
use super::table::Guest;
use super::text::Shape;
use super::{Content, Index};

/// What a guest uses, as every list writes it. All 0 for one that does not run.
#[derive(Debug, Default, Serialize)]
struct Figures {
    /// Busy part of its own processors, 0 to 1.
    cpu: f64,
    disk: u64,
    mem: u64,
    netin: u64,
    netout: u64,
    uptime: u64,
}

impl Figures {
    fn of(guest: &Guest, tick: Tick) -> Self {
        let (row, Some(running)) = (&guest.row, guest.state.running()) else {
            return Self::default();
        };
        let usage = &running.usage;
        Self {
            cpu: usage.cpus_busy / f64::from(cpus(guest).max(1)),
            disk: 0,
            mem: usage.memory_used(row.memory),
            netin: usage.net_in,
            netout: usage.net_out,
            uptime: running.uptime.at(tick),
        }
    }
}

/// A guest's processors. A container without a limit has those of its node, which are known while
/// it runs.
fn cpus(guest: &Guest) -> u32 {
    match (guest.row.cpus, guest.state.running()) {
        (0, Some(running)) => running.usage.cpus,
        (cpus, _) => cpus,
    }
}

/// What a guest takes of its host's memory; 0 for one that does not run.
fn memory_of_host(guest: &Guest) -> u64 {
    let running = guest.state.running();
    running.map_or(0, |running| running.usage.memory)
}

/// What a guest has read from and written to its disks.
#[derive(Debug, Default, Serialize)]
struct DiskFigures {
    diskread: u64,
    diskwrite: u64,
}

impl DiskFigures {
    fn of(guest: &Guest) -> Self {
        let Some(running) = guest.state.running() else {
            return Self::default();
        };
        Self {
            diskread: running.usage.disk_read,
            diskwrite: running.usage.disk_written,
        }
    }
}

/// What only lists of containers show.
#[derive(Debug, Serialize)]
struct ContainerFigures {
    #[serde(rename = "type")]
    kind: &'static str,
    maxswap: u64,
    swap: u64,
}

/// A row of `/cluster/resources`.
#[derive(Serialize)]
pub(super) struct Resource<'a> {
    id: String,
    vmid: u32,
    #[serde(rename = "type")]
    kind: &'static str,
    node: &'a str,
    status: &'static str,
    /// Left out while the node is silent.
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
    memhost: u64,
    #[serde(flatten)]
    disks: DiskFigures,
    #[serde(skip_serializing_if = "Option::is_none")]
    pool: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lock: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tags: Option<&'a str>,
}

pub(super) fn resource_row(guest: &Guest, tick: Tick) -> Resource<'_> {
    let (row, kind) = (&*guest.row, guest.row.kind.as_str());
    let status = match guest.state {
        GuestState::Unknown => "unknown",
        GuestState::Stopped => "stopped",
        GuestState::Running(_) => "running",
    };
    let is_known = !matches!(guest.state, GuestState::Unknown);
    Resource {
        id: format!("{kind}/{}", guest.vmid),
        vmid: guest.vmid,
        kind,
        node: &row.node,
        status,
        known: is_known.then(|| KnownGuest {
            name: &row.name,
            template: row.template.into(),
            maxcpu: cpus(guest),
            maxmem: row.memory,
            maxdisk: row.disk,
            figures: Figures::of(guest, tick),
            memhost: memory_of_host(guest),
            disks: DiskFigures::of(guest),
            pool: guest.pool.as_deref(),
            lock: row.lock.as_deref(),
            tags: row.tags.as_deref(),
        }),
    }
}

/// A row of `/nodes/{node}/qemu` or `/nodes/{node}/lxc`.
#[derive(Serialize)]
pub(super) struct Listed<'a> {
    vmid: u32,
    name: &'a str,
    status: &'static str,
    cpus: u32,
    maxmem: u64,
    maxdisk: u64,
    #[serde(flatten)]
    figures: Figures,
    /// Of a VM only: the memory of its QEMU.
    #[serde(skip_serializing_if = "Option::is_none")]
    memhost: Option<u64>,
    /// Of a VM only where all is asked for: QEMU is asked for it.
    #[serde(flatten)]
    disks: Option<DiskFigures>,
    #[serde(flatten)]
    container: Option<ContainerFigures>,
    #[serde(flatten)]
    pressure: Option<BTreeMap<&'static str, f64>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pid: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    qmpstatus: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lock: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tags: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    template: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    serial: Option<u8>,
}

pub(super) fn list_row(guest: &Guest, tick: Tick, full: bool) -> Listed<'_> {
    let row: &GuestRow = &guest.row;
    let usage = guest.state.running().map(|running| &running.usage);
    // The schema knows no unknown here: who does not answer is not known to run.
    let status = if usage.is_some() {
        "running"
    } else {
        "stopped"
    };
    Listed {
        vmid: guest.vmid,
        name: &row.name,
        status,
        cpus: cpus(guest),
        maxmem: row.memory,
        maxdisk: row.disk,
        figures: Figures::of(guest, tick),
        memhost: (row.kind == GuestKind::Qemu).then(|| memory_of_host(guest)),
        disks: ((full && usage.is_some()) || row.kind == GuestKind::Lxc)
            .then(|| DiskFigures::of(guest)),
        container: (row.kind == GuestKind::Lxc).then(|| ContainerFigures {
            kind: row.kind.as_str(),
            maxswap: row.swap,
            swap: usage.map_or(0, |usage| usage.swap),
        }),
        pressure: usage
            .and_then(|usage| usage.pressure.as_ref())
            .map(|pressure| pressure.figures().into()),
        pid: usage.map(|usage| usage.pid),
        qmpstatus: full.then(|| qmp_status(usage, status)),
        lock: row.lock.as_deref(),
        tags: row.tags.as_deref(),
        template: row.template.then_some(1),
        serial: row.serial.then_some(1),
    }
}

fn qmp_status<'a>(usage: Option<&'a GuestUsage>, otherwise: &'a str) -> &'a str {
    usage
        .and_then(|usage| usage.qmp_status.as_deref())
        .unwrap_or(otherwise)
}

pub(super) fn qemu_list(index: &Index, who: &Identity, params: &Values) -> Result<Content, Error> {
    list(index, who, params, GuestKind::Qemu)
}

pub(super) fn lxc_list(index: &Index, who: &Identity, params: &Values) -> Result<Content, Error> {
    list(index, who, params, GuestKind::Lxc)
}

/// The guests of a kind on a node, as far as the caller may see them.
fn list(index: &Index, who: &Identity, params: &Values, kind: GuestKind) -> Result<Content, Error> {
    let node = params
        .get("node")
        .and_then(|node| node.as_str())
        .unwrap_or_default();
    let full = params.get("full").and_then(|full| full.as_bool()) == Some(true);
    let (snapshot, _) = index.now();
    snapshot.complete()?;
    if !snapshot.nodes.contains_key(node) {
        let text =
            format!("hostname lookup '{node}' failed - failed to get address info for: {node}");
        return Err(Error::unavailable(text));
    }
    let asked = Query::Guests {
        node: node.into(),
        kind,
        shape: if full { Shape::FullList } else { Shape::List },
    };
    index.list(who, asked).map(Content::List)
}
