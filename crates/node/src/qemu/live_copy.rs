//! Copies of a running guest's disks, made by its QEMU: all of one moment, or one disk that the
//! guest moves over to.
//!
//! ```text
//!   drive-scsi0 ─► fmt-scsi0 ─► file-scsi0          the guest's
//!                  copy-scsi0 ─► copy-file-scsi0    the target, opened for the job
//! ```
//!
//! Job ids and names of nodes follow from task and disk, so that the next agent finds them after a
//! crash.

use std::time::Duration;

use guest::qemu::block::{HostOptions, copy_nodes, node_name};
use guest::qemu::{Events, Job, JobState, NodeCopy, Qmp};
use model::qemu::DriveSlot;
use model::{Error, VmId, VolumeId};
use storage::AttachMode;
use tasks::TaskContext;

use crate::NodeContext;
use crate::qemu::drives;
use crate::tasks::qmp_failed;
use crate::volumes::attached::by_task;

/// How long jobs are waited for before they are asked after again; how often that is logged.
pub(crate) const LOOK: Duration = Duration::from_millis(100);
pub(crate) const TELL_EVERY: u32 = 10;

/// A disk and the new image that it is copied to.
#[derive(Debug, Clone)]
pub(crate) struct LiveCopy {
    pub(crate) slot: DriveSlot,
    pub(crate) to: VolumeId,
    pub(crate) bytes: u64,
}

type Cx = TaskContext<NodeContext>;

impl LiveCopy {
    fn node(&self) -> String {
        format!("copy-{}", self.slot)
    }

    fn file(&self) -> String {
        format!("copy-file-{}", self.slot)
    }

    /// What the descriptor is passed under.
    fn label(&self) -> String {
        format!("copy {} {}", self.slot, self.to)
    }

    fn job(&self, cx: &Cx) -> String {
        cx.job_id(&self.slot.to_string())
    }
}

/// Copies all disks as they are now, each so fast at most (0: as fast as it goes). Whatever fails is
/// taken back with `cancel`.
pub(crate) async fn run(
    cx: &Cx,
    vmid: VmId,
    copies: &[LiveCopy],
    bytes_per_s: u64,
) -> Result<(), Error> {
    if copies.is_empty() {
        return Ok(());
    }
    let qmp = cx.node.running.qmp(vmid).await?;
    for copy in copies {
        open_target(cx, vmid, &qmp, copy).await?;
    }
    let names: Vec<(String, String, String)> = copies
        .iter()
        .map(|copy| (copy.job(cx), node_name(copy.slot), copy.node()))
        .collect();
    let all: Vec<NodeCopy<'_>> = names
        .iter()
        .map(|(job, node, target)| NodeCopy {
            job,
            node,
            target,
            bytes_per_s,
        })
        .collect();
    qmp.copy_nodes(&all).await.map_err(qmp_failed)?;
    until_done(cx, &qmp, copies).await?;
    clear(cx, &qmp, copies).await
}

/// Ends the jobs and closes the targets, wherever they are. The guest may have ended meanwhile.
pub(crate) async fn cancel(cx: &Cx, vmid: VmId, copies: &[LiveCopy]) -> Result<(), Error> {
    if !cx.node.running.is_running(vmid).await? {
        return Ok(());
    }
    let qmp = cx.node.running.qmp(vmid).await?;
    clear(cx, &qmp, copies).await
}

async fn open_target(cx: &Cx, vmid: VmId, qmp: &Qmp, copy: &LiveCopy) -> Result<(), Error> {
    let by = by_task(cx);
    let spec = cx.node.attach(&copy.to, AttachMode::Exclusive, &by).await?;
    let spec = drives::let_copy_into(&cx.node, vmid, &spec, copy.bytes).await?;
    let options = HostOptions::for_copy(&spec);
    let spec = drives::pass(&cx.node.host, qmp, &copy.label(), &spec, &options).await?;
    for node in copy_nodes(&copy.node(), &copy.file(), &spec, &options) {
        qmp.add_block_node(node).await.map_err(qmp_failed)?;
    }
    Ok(())
}

/// Waits until a job has come further, by QEMU's own word, or for the time of the next look.
pub(crate) async fn until_jobs_change(cx: &Cx, events: &mut Events) {
    tokio::select! {
        biased;
        _ = events.next_named("JOB_STATUS_CHANGE") => {}
        () = cx.clock.sleep(LOOK) => {}
    }
}

async fn until_done(cx: &Cx, qmp: &Qmp, copies: &[LiveCopy]) -> Result<(), Error> {
    let mut events = qmp.events();
    let mine: Vec<String> = copies.iter().map(|copy| copy.job(cx)).collect();
    let total: u64 = copies.iter().map(|copy| copy.bytes).sum();
    for look in 1_u32.. {
        let jobs = qmp.jobs().await.map_err(qmp_failed)?;
        let jobs: Vec<_> = jobs
            .into_iter()
            .filter(|job| mine.contains(&job.id))
            .collect();
        for job in &jobs {
            if let JobState::Failed(why) = &job.state {
                return Err(Error::unavailable(format!("copying failed: {why}")));
            }
        }
        if jobs.len() < mine.len() {
            return Err(Error::unavailable("somebody else ended the copying"));
        }
        let done = jobs.iter().map(|job| job.done).sum();
        let is_over = jobs.iter().all(|job| job.state == JobState::Done);
        if is_over || look.is_multiple_of(TELL_EVERY) {
            cx.progress("disks", if is_over { total } else { done }, total)
                .await;
        }
        if is_over {
            return Ok(());
        }
        until_jobs_change(cx, &mut events).await;
    }
    Ok(())
}

/// Ends what is left of the jobs, then closes the targets and lets them go.
async fn clear(cx: &Cx, qmp: &Qmp, copies: &[LiveCopy]) -> Result<(), Error> {
    for copy in copies {
        end_job(cx, qmp, &copy.job(cx)).await?;
    }
    let nodes = qmp.block_nodes().await.map_err(qmp_failed)?;
    for copy in copies {
        for name in [copy.node(), copy.file()] {
            if nodes.contains(&name) {
                qmp.remove_block_node(&name).await.map_err(qmp_failed)?;
            }
        }
    }
    let labels: Vec<String> = copies.iter().map(LiveCopy::label).collect();
    for (set, said) in qmp.descriptor_sets().await.map_err(qmp_failed)? {
        if said.iter().any(|said| labels.contains(said)) {
            qmp.remove_descriptors(set).await.map_err(qmp_failed)?;
        }
    }
    for copy in copies {
        cx.node.detach(&copy.to, &by_task(cx)).await?;
    }
    Ok(())
}

pub(crate) async fn job(qmp: &Qmp, id: &str) -> Result<Option<Job>, Error> {
    let jobs = qmp.jobs().await.map_err(qmp_failed)?;
    Ok(jobs.into_iter().find(|job| job.id == id))
}

/// Waits until a job has come so far; none where it is gone before. The task's log shows the bytes of `what`, and
/// of how many, which the job itself knows where `total` is none.
pub(crate) async fn until_job(
    cx: &Cx,
    qmp: &Qmp,
    id: &str,
    (what, total): (&str, Option<u64>),
    is_enough: impl Fn(&Job) -> bool,
) -> Result<Option<Job>, Error> {
    let mut events = qmp.events();
    let mut looks = 0_u32;
    while let Some(job) = job(qmp, id).await? {
        if is_enough(&job) {
            return Ok(Some(job));
        }
        looks += 1;
        if looks.is_multiple_of(TELL_EVERY) {
            let total = total.unwrap_or(job.total);
            cx.progress(what, job.done.min(total), total).await;
        }
        until_jobs_change(cx, &mut events).await;
    }
    Ok(None)
}

/// Ends a job, if there is one, and waits until it is gone.
pub(crate) async fn end_job(cx: &Cx, qmp: &Qmp, id: &str) -> Result<(), Error> {
    let mut events = qmp.events();
    while let Some(job) = job(qmp, id).await? {
        match job.state {
            JobState::Done | JobState::Failed(_) => {
                qmp.dismiss_job(id).await.map_err(qmp_failed)?;
            }
            JobState::Running | JobState::Ready | JobState::Pending => {
                qmp.cancel_job(id).await.map_err(qmp_failed)?;
                until_jobs_change(cx, &mut events).await;
            }
        }
    }
    Ok(())
}
