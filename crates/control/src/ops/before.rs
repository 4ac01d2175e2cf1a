//! Snapshots that are made before a guest is changed, by the jobs that want them (docs/snapshots.md).

use model::{Error, GuestRecord, VmId};
use node::digest;
use node::snapshot_jobs::Change;
use node::tasks::SnapshotJobRun;

use super::Op;

/// Makes the snapshots that jobs want before this change of a guest. Without one of them the change is refused.
pub(super) async fn snapshot_before(op: &Op, vmid: VmId, change: Change) -> Result<(), Error> {
    let context = &op.context;
    // Programs are run inside a guest without a majority, too.
    let records = op.records.local();
    for job in records.snapshot_jobs().await? {
        if !job.is_enabled() || !job.before().contains(&change) {
            continue;
        }
        let guest = records.guest(vmid).await?.record.data;
        if !job.selection().includes(&context.node, &guest).await? {
            continue;
        }
        let first = format!("before {}", job.id);
        let task = SnapshotJobRun::of_guest(job.id.clone(), vmid);
        let made = context.perform_first(op, vmid, &first, task).await;
        made.map_err(|error| {
            let text = format!(
                "nothing is changed: the snapshot before it, of job '{}', failed",
                job.id
            );
            Error::new(error.kind, format!("{text}: {}", error.message))
        })?;
    }
    Ok(())
}

/// The same before a change of options, of which `known` is the digest that the caller had of the guest. Answers
/// with the digest that the guest then has: a snapshot is noted in it.
pub(super) async fn snapshot_before_options<'a>(
    op: &Op,
    guest: &GuestRecord,
    mut options: impl Iterator<Item = &'a String>,
    known: Option<String>,
) -> Result<Option<String>, Error> {
    if !Change::is_risk(&mut options) {
        return Ok(known);
    }
    snapshot_before(op, guest.vmid, Change::Config).await?;
    digest_since(op, guest, known).await
}

/// A digest that a caller has of a guest as it was, brought up to date with the snapshots that were made since.
pub(super) async fn digest_since(
    op: &Op,
    was: &GuestRecord,
    known: Option<String>,
) -> Result<Option<String>, Error> {
    if known.as_ref().is_none_or(String::is_empty) {
        return Ok(known);
    }
    let now = op.records.guest(was.vmid).await?.record.data;
    let mut compared = now.clone();
    match was.config.0.get("parent") {
        Some(parent) => compared.config.set("parent", parent.clone()),
        None => drop(compared.config.0.remove("parent")),
    }
    // Where more has changed, the caller's digest is refused.
    Ok(match digest(&compared) == digest(was) {
        true => Some(digest(&now)),
        false => known,
    })
}
