//! Tasks that have failed, or cannot go on.

use std::collections::BTreeSet;

use ::tasks::{Engine, TaskFilter, TaskState, TaskSummary};
use model::{Upid, VmId};

use super::alert::{Condition, Patience, Severity, Subject};
use crate::NodeContext;

/// After a day a failure is known.
const FORGOTTEN_S: i64 = 24 * 3600;

pub(super) fn conditions(node: &NodeContext, tasks: &Engine<NodeContext>) -> Vec<Condition> {
    let filter = TaskFilter {
        running: true,
        ended: true,
        since: Some(node.clock.wall() - FORGOTTEN_S),
        ..TaskFilter::default()
    };
    let failed = failed(&tasks.list(&filter));
    failed.iter().map(|task| condition(node, task)).collect()
}

/// The newest task of each kind and object, if it failed: one that succeeds makes up for those before.
fn failed(newest_first: &[TaskSummary]) -> Vec<TaskSummary> {
    let mut seen = BTreeSet::new();
    let ended = newest_first
        .iter()
        .filter(|task| task.state != TaskState::Running);
    let newest = ended.filter(|task| seen.insert((&task.upid.kind, &task.upid.id)));
    newest.filter(|task| !task.is_ok()).cloned().collect()
}

fn condition(node: &NodeContext, task: &TaskSummary) -> Condition {
    let Upid { kind, id, .. } = &task.upid;
    let of = match id.is_empty() {
        true => String::new(),
        false => format!(" of {id}"),
    };
    let (text, advice, since) = match &task.state {
        TaskState::Ended { at, status } => (
            format!("task '{kind}'{of} has failed: {status}"),
            "look at its log, and repeat it when the reason is gone",
            *at,
        ),
        TaskState::Stuck(why) => (
            format!("task '{kind}'{of} cannot go on: {why}"),
            "look at the log of the agent",
            task.upid.starttime,
        ),
        TaskState::Running => (String::new(), "", task.upid.starttime),
    };
    let vmid: Option<VmId> = id.parse().ok();
    let vmid = vmid.filter(|vmid| kind.starts_with("qm") && node.history.guests.has(*vmid));
    Condition {
        id: format!("task-failed/{}/{kind}/{id}", node.name),
        severity: Severity::Warning,
        subject: vmid.map_or_else(|| Subject::Node(node.name.clone()), Subject::Guest),
        text,
        advice: advice.to_owned(),
        since: Some(since),
        patience: Patience::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(id: &str, status: Option<&str>) -> TaskSummary {
        let upid = format!("UPID:pve1:00000001:00000001:6B00D68B:qmstart:{id}:root@pam:");
        TaskSummary {
            upid: upid.parse().unwrap(),
            state: match status {
                None => TaskState::Running,
                Some(status) => TaskState::Ended {
                    at: 0,
                    status: status.to_owned(),
                },
            },
            listed: true,
            revision: 0,
            fields: Default::default(),
        }
    }

    #[test]
    fn a_success_makes_up_for_failures_before() {
        let tasks = [
            task("100", None),
            task("100", Some("no space")),
            task("101", Some("OK")),
            task("101", Some("no space")),
            task("102", Some("WARNINGS: 1")),
            task("100", Some("OK")),
        ];
        let failed = failed(&tasks);
        let ids: Vec<&str> = failed.iter().map(|task| task.upid.id.as_str()).collect();
        assert_eq!(ids, ["100"]);
    }
}
