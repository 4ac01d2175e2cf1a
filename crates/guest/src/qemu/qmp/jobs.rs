//! Jobs: block work that QEMU does in the background.

use serde_json::{Value, json};

use super::commands::{SLOW, unexpected};
use super::{Qmp, QmpError};

/// The state of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobState {
    Running,
    /// A mirror is in sync with its source, and is kept so.
    Ready,
    /// Complete except for `finalize_job`; the guest's disk is paused meanwhile.
    Pending,
    Done,
    Failed(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    pub id: String,
    pub state: JobState,
    /// Bytes, for block jobs.
    pub done: u64,
    pub total: u64,
}

impl Job {
    fn read(row: &Value) -> Option<Self> {
        let figure = |name: &str| row[name].as_u64().unwrap_or(0);
        let state = match row["status"].as_str()? {
            "ready" => JobState::Ready,
            "pending" => JobState::Pending,
            "concluded" => match row["error"].as_str() {
                Some(error) => JobState::Failed(error.to_owned()),
                None => JobState::Done,
            },
            _ => JobState::Running,
        };
        Some(Self {
            id: row["id"].as_str()?.to_owned(),
            state,
            done: figure("current-progress"),
            total: figure("total-progress"),
        })
    }
}

/// A copy of one node to another.
#[derive(Debug, Clone, Copy)]
pub struct NodeCopy<'a> {
    pub job: &'a str,
    pub node: &'a str,
    pub target: &'a str,
    /// The rate limit; 0 for none.
    pub bytes_per_s: u64,
}

impl Qmp {
    /// All jobs that have not been dismissed.
    pub async fn jobs(&self) -> Result<Vec<Job>, QmpError> {
        let answer = self.execute("query-jobs", Value::Null).await?;
        let rows = answer
            .as_array()
            .ok_or_else(|| unexpected("query-jobs", &answer))?;
        Ok(rows.iter().filter_map(Job::read).collect())
    }

    /// Copies the current content of each node, of all at one moment. The jobs stay until
    /// dismissed.
    pub async fn copy_nodes(&self, copies: &[NodeCopy<'_>]) -> Result<(), QmpError> {
        let action = |copy: &NodeCopy<'_>| {
            let data = json!({
                "job-id": copy.job,
                "device": copy.node,
                "target": copy.target,
                "sync": "full",
                "speed": copy.bytes_per_s,
                "auto-dismiss": false,
            });
            json!({"type": "blockdev-backup", "data": data})
        };
        let actions: Vec<Value> = copies.iter().map(action).collect();
        self.execute_within("transaction", json!({"actions": actions}), SLOW)
            .await
            .map(drop)
    }

    /// Copies a node including all writes in the meantime. Once the job is ready, completed and
    /// finalized, the target replaces `replaces`.
    pub async fn mirror_node(&self, copy: NodeCopy<'_>, replaces: &str) -> Result<(), QmpError> {
        let arguments = json!({
            "job-id": copy.job,
            "device": copy.node,
            "target": copy.target,
            "replaces": replaces,
            "sync": "full",
            "speed": copy.bytes_per_s,
            "copy-mode": "write-blocking",
            "auto-finalize": false,
            "auto-dismiss": false,
        });
        self.execute_within("blockdev-mirror", arguments, SLOW)
            .await
            .map(drop)
    }

    /// Completes a job that is ready; a mirror then waits for `finalize_job`.
    pub async fn complete_job(&self, id: &str) -> Result<(), QmpError> {
        self.execute("job-complete", json!({"id": id}))
            .await
            .map(drop)
    }

    pub async fn finalize_job(&self, id: &str) -> Result<(), QmpError> {
        self.execute("job-finalize", json!({"id": id}))
            .await
            .map(drop)
    }

    /// Cancels a job in any state; the job's state shows when it is over.
    pub async fn cancel_job(&self, id: &str) -> Result<(), QmpError> {
        self.execute("block-job-cancel", json!({"device": id, "force": true}))
            .await
            .map(drop)
    }

    pub async fn dismiss_job(&self, id: &str) -> Result<(), QmpError> {
        self.execute("job-dismiss", json!({"id": id}))
            .await
            .map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jobs_state_is_read() {
        let read = |row: Value| Job::read(&row).map(|job| job.state);
        assert_eq!(
            read(json!({"id": "a", "status": "created"})),
            Some(JobState::Running)
        );
        assert_eq!(
            read(json!({"id": "a", "status": "ready"})),
            Some(JobState::Ready)
        );
        assert_eq!(
            read(json!({"id": "a", "status": "concluded"})),
            Some(JobState::Done)
        );
        let failed = json!({"id": "a", "status": "concluded", "error": "full"});
        assert_eq!(read(failed), Some(JobState::Failed("full".to_owned())));
        assert_eq!(read(json!({"status": "ready"})), None);
    }
}
