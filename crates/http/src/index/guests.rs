//! Guests in lists: `/nodes/{node}/qemu`, and their figures in `/cluster/resources`.

use std::collections::BTreeMap;

use model::schema::Values;
use model::{Error, GuestKind, Privilege};
use proto::Identity;
use proto::status::GuestUsage;
use serde::Serialize;

use super::copy::GuestRow;
use super::observed::GuestState;
use super::{Content, Index, json, known};

/// What a guest uses, as every list writes it. All 0 for one that does not run.
#[derive(Debug, Default, Serialize)]
pub(super) struct Figures {
    /// Busy part of its own processors, 0 to 1.
    cpu: f64,
    disk: u64,
    mem: u64,
    memhost: u64,
    netin: u64,
    netout: u64,
    uptime: u64,
}

impl Figures {
    pub(super) fn of(row: &GuestRow, state: GuestState<'_>) -> Self {
        let GuestState::Running { usage, uptime_s } = state else {
            return Self::default();
        };
        Self {
            cpu: usage.cpus_busy / f64::from(row.cpus.max(1)),
            disk: 0,
            mem: usage.memory_used(row.memory),
            memhost: usage.memory,
            netin: usage.net_in,
            netout: usage.net_out,
            uptime: uptime_s,
        }
    }
}

/// What a guest has read from and written to its disks.
#[derive(Debug, Default, Serialize)]
pub(super) struct DiskFigures {
    diskread: u64,
    diskwrite: u64,
}

impl DiskFigures {
    pub(super) fn of(state: GuestState<'_>) -> Self {
        let GuestState::Running { usage, .. } = state else {
            return Self::default();
        };
        Self {
            diskread: usage.disk_read,
            diskwrite: usage.disk_written,
        }
    }
}

/// The word for a state; PVE's lists know `unknown` as well.
pub(super) fn word(state: GuestState<'_>) -> &'static str {
    match state {
        GuestState::Unknown => "unknown",
        GuestState::Stopped => "stopped",
        GuestState::Running { .. } => "running",
    }
}

/// A row of `/nodes/{node}/qemu` or `/nodes/{node}/lxc`.
#[derive(Serialize)]
struct Listed<'a> {
    vmid: u32,
    name: &'a str,
    status: &'static str,
    cpus: u32,
    maxmem: u64,
    maxdisk: u64,
    #[serde(flatten)]
    figures: Figures,
    /// Of a VM only where all is asked for: QEMU is asked for it.
    #[serde(flatten)]
    disks: Option<DiskFigures>,
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

impl<'a> Listed<'a> {
    fn new(vmid: u32, row: &'a GuestRow, state: GuestState<'a>, full: bool) -> Self {
        let usage = match state {
            GuestState::Running { usage, .. } => Some(usage),
            _ => None,
        };
        // The schema knows no unknown here: who does not answer is not known to run.
        let status = if usage.is_some() {
            "running"
        } else {
            "stopped"
        };
        Self {
            vmid,
            name: &row.name,
            status,
            cpus: row.cpus,
            maxmem: row.memory,
            maxdisk: row.disk,
            figures: Figures::of(row, state),
            disks: (full && usage.is_some()).then(|| DiskFigures::of(state)),
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
    let (access, now) = (index.access(), index.clock.monotonic());
    let view = access.view(who, index.clock.wall());
    let (follower, observed) = (index.follower(), index.observed());
    let copy = known(&follower)?;
    if !observed.has(node) {
        let text =
            format!("hostname lookup '{node}' failed - failed to get address info for: {node}");
        return Err(Error::unavailable(text));
    }
    let here = copy.guests.iter().filter(|(vmid, row)| {
        row.kind == kind
            && *row.node == *node
            && view.has(&format!("/vms/{vmid}"), Privilege::VmAudit)
    });
    let rows: Vec<Listed<'_>> = here
        .map(|(vmid, row)| Listed::new(*vmid, row, observed.guest(node, *vmid, now), full))
        .collect();
    json(&rows)
}
