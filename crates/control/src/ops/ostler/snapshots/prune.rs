//! `POST /ostler/nodes/{node}/snapshots/prune`: shows what would go, unless `dry-run` is 0. Nothing goes that
//! was not named, or was not counted by the caller before.

use std::collections::BTreeSet;

use model::schema::format::split_list;
use model::{Error, Privilege, SnapshotState, VmId};
use node::tasks::NodeSnapshotPrune;
use proto::wire::Answer;
use serde::Deserialize;
use serde_json::Value;

use super::{Found, found};
use crate::ops::Op;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Prune {
    snapshots: Option<String>,
    older_than: Option<f64>,
    vmid: Option<VmId>,
    dry_run: Option<bool>,
    confirm: Option<usize>,
}

pub(super) async fn prune(op: Op) -> Result<Answer, Error> {
    let prune: Prune = op.params()?;
    let chosen = match (&prune.snapshots, prune.older_than) {
        (Some(names), None) if prune.vmid.is_none() => named(&op, names).await?,
        (None, Some(_)) => old(&op, &prune).await?,
        _ => {
            let text = "either 'snapshots' or 'older-than' says which; 'vmid' only with the latter";
            return Err(Error::invalid("snapshots", text));
        }
    };
    let now = op.context.clock.wall();
    if prune.dry_run != Some(false) {
        let rows: Vec<Value> = chosen.iter().map(|found| found.row(now)).collect();
        return Ok(Answer::new(rows));
    }
    let is_counted = prune.snapshots.is_none() || prune.confirm.is_some();
    if is_counted && prune.confirm != Some(chosen.len()) {
        let text = format!(
            "{} snapshots would be removed; confirm their number",
            chosen.len()
        );
        return Err(Error::invalid("confirm", text));
    }
    remove(&op, &chosen).await
}

/// The snapshots of this node's guests that the caller may remove.
async fn here(
    op: &Op,
    vmid: Option<VmId>,
    older_than_days: Option<f64>,
) -> Result<Vec<Found>, Error> {
    let mut all = found(op, Privilege::VmSnapshot, vmid, older_than_days).await?;
    all.retain(|found| found.node == op.context.node.name);
    Ok(all)
}

/// What the caller has named, each as `VMID:NAME`.
async fn named(op: &Op, names: &str) -> Result<Vec<Found>, Error> {
    let access = op.context.authority.access();
    let view = access.view(op.identity()?, op.context.clock.wall());
    let mut wanted = BTreeSet::new();
    for item in split_list(names) {
        let parsed = item.split_once(':');
        let parsed = parsed.and_then(|(vmid, name)| Some((vmid.parse::<VmId>().ok()?, name)));
        let Some((vmid, name)) = parsed else {
            let text = format!("'{item}' is not VMID:NAME");
            return Err(Error::invalid("snapshots", text));
        };
        view.require(&format!("/vms/{vmid}"), &[Privilege::VmSnapshot])?;
        wanted.insert((vmid, name.to_owned()));
    }
    let mut chosen = here(op, None, None).await?;
    chosen.retain(|found| wanted.remove(&(found.vmid, found.name.clone())));
    match wanted.first() {
        None => Ok(chosen),
        Some((vmid, name)) => {
            let text = format!("guest {vmid} of this node has no snapshot '{name}'");
            Err(Error::invalid("snapshots", text))
        }
    }
}

/// What is old, of guests that the caller may do this to. What is being made is left alone.
async fn old(op: &Op, prune: &Prune) -> Result<Vec<Found>, Error> {
    let mut old = here(op, prune.vmid, prune.older_than).await?;
    old.retain(|found| found.snapshot.state != Some(SnapshotState::Prepare));
    Ok(old)
}

/// Removes them in one task.
async fn remove(op: &Op, chosen: &[Found]) -> Result<Answer, Error> {
    let now = op.context.clock.wall();
    let mut rows: Vec<Value> = chosen.iter().map(|found| found.row(now)).collect();
    if !chosen.is_empty() {
        let snapshots = chosen
            .iter()
            .map(|found| (found.vmid, found.kind, found.name.clone()));
        let task = NodeSnapshotPrune::new(snapshots.collect());
        let upid = op.context.submit(op, "", task).await?.data;
        for row in &mut rows {
            row["upid"] = upid.clone();
        }
    }
    Ok(Answer::new(rows))
}
