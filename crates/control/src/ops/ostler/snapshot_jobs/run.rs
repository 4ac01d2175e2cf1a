//! `POST /ostler/cluster/snapshot-jobs/{id}/run`: each node runs its part.

use std::collections::BTreeSet;

use model::Error;
use node::schedule::{note_asked, running};
use node::snapshot_jobs::{KIND, SnapshotJob};
use node::tasks::SnapshotJobRun;
use proto::wire::Answer;
use serde_json::{Value, json};
use tasks::Task;

use super::Named;
use crate::ops::Op;

pub(super) async fn run(op: Op) -> Result<Answer, Error> {
    let Named { id } = op.params()?;
    let job = op.records.snapshot_job(&id).await?;
    let node = &op.context.node;
    let selected = job.selection().by_node(node).await?;
    let has_guests = |of: &node::snapshot_jobs::Selected| !of.guests.is_empty();
    let mut rows = op.others.clone();
    if selected.get(&node.name).is_some_and(has_guests) {
        let begun = begin(&op, &job).await;
        rows.push(match begun {
            Ok(upid) => json!({"node": node.name.as_str(), "upid": upid}),
            Err(error) => json!({"node": node.name.as_str(), "error": error.to_string()}),
        });
    }
    if op.is_part() {
        return Ok(Answer::new(rows));
    }
    let heard: BTreeSet<String> = rows
        .iter()
        .filter_map(|row| row["node"].as_str().map(str::to_owned))
        .collect();
    let wanted = selected.iter().filter(|(_, of)| has_guests(of));
    for (name, _) in wanted.filter(|(name, _)| !heard.contains(name.as_str())) {
        rows.push(json!({"node": name.as_str(), "error": "the node does not answer"}));
    }
    let first_error = rows.iter().find_map(|row| row["error"].as_str());
    match first_error {
        Some(error) if rows.iter().all(|row| row["upid"] == Value::Null) => {
            Err(Error::conflict(error.to_owned()))
        }
        _ => Ok(Answer::new(rows)),
    }
}

/// Begins this node's part, and writes down that a caller asked for it.
async fn begin(op: &Op, job: &SnapshotJob) -> Result<String, Error> {
    let context = &op.context;
    if let Some(upid) = running(&context.tasks, SnapshotJobRun::KIND, &job.id) {
        let text = format!("job '{}' runs already: {upid}", job.id);
        return Err(Error::conflict(text));
    }
    let task = SnapshotJobRun::new(job.id.clone());
    let answer = context.submit(op, &job.id, task).await?;
    let upid = answer.data.as_str().unwrap_or_default().to_owned();
    if let Ok(upid) = upid.parse() {
        note_asked(&context.node, KIND, &job.scheduled()?, &upid).await?;
    }
    Ok(upid)
}
