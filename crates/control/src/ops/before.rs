//! Snapshots that are made before a guest is changed, by the jobs that want them (docs/snapshots.md).

use model::{Error, GuestRecord, VmId};
use node::digest;
use node::snapshot_jobs::Change;
use node::tasks::SnapshotJobRun;

use super::Op;

/// Makes the snapshots that jobs want before this change of a guest. Without one of them the change is refused. `check`
/// is asked first where there are some: what is refused anyhow leaves none.
pub(super) async fn snapshot_before(
    op: &Op,
    vmid: VmId,
    change: Change,
    check: impl AsyncFnOnce() -> Result<(), Error>,
) -> Result<(), Error> {
    let jobs = jobs_before(op, vmid, change).await?;
    if !jobs.is_empty() {
        check().await?;
    }
    for job in jobs {
        let first = format!("before {job}");
        let task = SnapshotJobRun::of_guest(job.clone(), vmid);
        let made = op.context.perform_first(op, vmid, &first, task).await;
        made.map_err(|error| {
            let text =
                format!("nothing is changed: the snapshot before it, of job '{job}', failed");
            Error::new(error.kind, format!("{text}: {}", error.message))
        })?;
    }
    Ok(())
}

/// The jobs that want one.
async fn jobs_before(op: &Op, vmid: VmId, change: Change) -> Result<Vec<String>, Error> {
    // Programs are run inside a guest without a majority, too.
    let records = op.records.local();
    let mut wanting = Vec::new();
    for job in records.snapshot_jobs().await? {
        if !job.is_enabled() || !job.before().contains(&change) {
            continue;
        }
        let guest = records.guest(vmid).await?.record.data;
        if job.selection().includes(&op.context.node, &guest).await? {
            wanting.push(job.id);
        }
    }
    Ok(wanting)
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
    snapshot_before(op, guest.vmid, Change::Config, async || Ok(())).await?;
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
