//! `/ostler/cluster/snapshots`, and their removal on a node

mod list;
mod prune;

use model::{Error, GuestKind, GuestRecord, NodeName, Privilege, Snapshot, UnixTime, VmId};
use serde_json::{Value, json};

use crate::ops::{Op, Pair, pair};

pub(in crate::ops) const PAIRS: &[Pair] = &[
    pair!("cluster_snapshot_list", list::list),
    pair!("node_snapshot_prune", prune::prune),
];

const DAY_S: f64 = 86_400.0;

/// A snapshot of a guest of any node.
#[derive(Debug, Clone)]
struct Found {
    vmid: VmId,
    kind: GuestKind,
    node: NodeName,
    guest: Option<String>,
    name: String,
    snapshot: Snapshot,
}

impl Found {
    fn of(guest: &GuestRecord) -> impl Iterator<Item = Self> + '_ {
        let names = match guest.kind {
            GuestKind::Qemu => "name",
            GuestKind::Lxc => "hostname",
        };
        let called = guest.config.text(names);
        guest.snapshots.iter().map(move |(name, snapshot)| Self {
            vmid: guest.vmid,
            kind: guest.kind,
            node: guest.node.clone(),
            guest: called.clone(),
            name: name.clone(),
            snapshot: snapshot.clone(),
        })
    }

    fn row(&self, now: UnixTime) -> Value {
        let snapshot = &self.snapshot;
        let mut row = json!({
            "vmid": self.vmid,
            "type": self.kind.as_str(),
            "node": self.node.as_str(),
            "name": self.name,
            "snaptime": snapshot.created,
            "age": (now - snapshot.created).max(0),
            "vmstate": u8::from(snapshot.memory.is_some()),
        });
        let optional = [
            ("guest", self.guest.as_deref()),
            ("description", snapshot.description.as_deref()),
            ("job", snapshot.job.as_deref()),
            ("snapstate", snapshot.state.map(|state| state.as_str())),
        ];
        for (name, value) in optional {
            if let Some(value) = value {
                row[name] = value.into();
            }
        }
        row
    }
}

/// The snapshots of guests that the caller has a privilege on, oldest first.
async fn found(
    op: &Op,
    privilege: Privilege,
    vmid: Option<VmId>,
    older_than_days: Option<f64>,
) -> Result<Vec<Found>, Error> {
    let now = op.context.clock.wall();
    let access = op.context.authority.access();
    let view = access.view(op.identity()?, now);
    let is_old = |found: &Found| {
        let age_s = (now - found.snapshot.created) as f64;
        older_than_days.is_none_or(|days| age_s > days * DAY_S)
    };
    let mut all = Vec::new();
    for guest in op.records.guests().await? {
        let guest = guest?;
        let is_meant = vmid.is_none_or(|vmid| vmid == guest.vmid);
        if is_meant && view.has(&format!("/vms/{}", guest.vmid), privilege) {
            all.extend(Found::of(&guest).filter(is_old));
        }
    }
    all.sort_by(|a, b| {
        let key = |found: &Found| (found.snapshot.created, found.vmid);
        key(a).cmp(&key(b)).then_with(|| a.name.cmp(&b.name))
    });
    Ok(all)
}
