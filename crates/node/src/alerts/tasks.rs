//! Tasks that have failed, or cannot go on.

use std::collections::BTreeSet;

use ::tasks::{Engine, TaskFilter, TaskState, TaskSummary};
use model::{GuestKind, Upid, VmId};

use super::alert::{Condition, Patience, Severity, Subject};
use crate::NodeContext;

/// After a day a failure is known.
const FORGOTTEN_S: i64 = 24 * 3600;

/// Kinds of tasks whose failure is an answer to the caller: the exit code of the caller's own program.
const ANSWERS: [&str; 1] = ["vzexec"];

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
        .filter(|task| task.state != TaskState::Running)
        .filter(|task| !ANSWERS.contains(&task.upid.kind.as_str()));
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
    let guest = guest_of(&task.upid, |vmid| node.history.guests.kind(vmid));
    Condition {
        id: format!("task-failed/{}/{kind}/{id}", node.name),
        severity: Severity::Warning,
        subject: guest.unwrap_or_else(|| Subject::Node(node.name.clone())),
        text,
        advice: advice.to_owned(),
        since: Some(since),
        patience: Patience::default(),
    }
}

/// The guest that a task was of, if it is on this node.
fn guest_of(upid: &Upid, kind_of: impl Fn(VmId) -> Option<GuestKind>) -> Option<Subject> {
    let vmid: VmId = upid.id.parse().ok()?;
    let kind = kind_of(vmid)?;
    let prefix = match kind {
        GuestKind::Qemu => "qm",
        GuestKind::Lxc => "vz",
    };
    let is_its = upid.kind.starts_with(prefix);
    is_its.then_some(Subject::Guest(kind, vmid))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(id: &str, status: Option<&str>) -> TaskSummary {
        of_kind("qmstart", id, status)
    }

    fn of_kind(kind: &str, id: &str, status: Option<&str>) -> TaskSummary {
        let upid = format!("UPID:pve1:00000001:00000001:6B00D68B:{kind}:{id}:root@pam:");
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
    fn a_guest_is_named_by_its_kind() {
        let kind_of = |vmid: VmId| match vmid.get() {
            100 => Some(GuestKind::Qemu),
            200 => Some(GuestKind::Lxc),
            _ => None,
        };
        let named = |kind: &str, id: &str| {
            let upid = format!("UPID:pve1:00000001:00000001:6B00D68B:{kind}:{id}:root@pam:");
            let subject = guest_of(&upid.parse().unwrap(), kind_of);
            subject.map(|subject| subject.to_string())
        };
        assert_eq!(named("qmstart", "100").as_deref(), Some("qemu/100"));
        assert_eq!(named("vzstart", "200").as_deref(), Some("lxc/200"));
        // Of a guest that is not here, and of no guest.
        assert_eq!(named("vzdestroy", "201"), None);
        assert_eq!(named("imgcopy", "100"), None);
        assert_eq!(named("vzcreate", ""), None);
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
            of_kind("vzexec", "103", Some("command 'false' failed: exit code 1")),
        ];
        let failed = failed(&tasks);
        let ids: Vec<&str> = failed.iter().map(|task| task.upid.id.as_str()).collect();
        assert_eq!(ids, ["100"]);
    }
}
