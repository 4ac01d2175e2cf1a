//! Snapshot jobs, for the scheduler.

use async_trait::async_trait;
use model::{Error, Upid};
use tasks::{Engine, Submission, Task};
use tracing::warn;

use super::KIND;
use crate::schedule::{Scheduled, ScheduledJob};
use crate::tasks::SnapshotJobRun;
use crate::{NodeContext, Records};

pub struct SnapshotJobs;

#[async_trait]
impl Scheduled for SnapshotJobs {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn task_kind(&self) -> &'static str {
        SnapshotJobRun::KIND
    }

    async fn jobs(&self, records: &Records) -> Result<Vec<ScheduledJob>, Error> {
        let mut jobs = Vec::new();
        for job in records.snapshot_jobs().await? {
            match job.scheduled() {
                Ok(scheduled) => jobs.push(scheduled),
                // One that a later version has written does not hold up the others.
                Err(error) => warn!(job = job.id, %error, "a snapshot job cannot be read"),
            }
        }
        Ok(jobs)
    }

    async fn has_work(&self, node: &NodeContext, job: &str) -> Result<bool, Error> {
        let job = node.records.snapshot_job(job).await?;
        let selected = job.selection().on(node).await?;
        Ok(!selected.guests.is_empty())
    }

    async fn submit(
        &self,
        tasks: &Engine<NodeContext>,
        job: &str,
        submission: Submission,
    ) -> Result<Upid, Error> {
        let task = SnapshotJobRun::new(job.to_owned());
        tasks.submit(submission, task).await
    }
}
