//! Nodes whose processors or memory have been busy for long.

use super::alert::{Condition, Patience, Severity, Subject};
use crate::NodeContext;

/// In use, as a part of the whole.
const BUSY: f64 = 0.85;
/// An alert is over only below this.
const NOT_BUSY: f64 = 0.80;

/// A peak is no trouble.
const SUSTAINED: Patience = Patience::of(600, 120);

pub(super) fn conditions(node: &NodeContext, is_open: impl Fn(&str) -> bool) -> Vec<Condition> {
    let Some(usage) = node.status.node_usage() else {
        return Vec::new();
    };
    let memory = usage.memory as f64 / usage.memory_total.max(1) as f64;
    let parts = [
        ("cpu", "processors", usage.cpu),
        ("memory", "memory", memory),
    ];
    let busy = |(kind, what, part): (&str, &str, f64)| {
        let name = &node.name;
        let id = format!("{kind}-busy/{name}");
        let limit = if is_open(&id) { NOT_BUSY } else { BUSY };
        (part >= limit).then(|| Condition {
            severity: Severity::Warning,
            subject: Subject::Node(name.clone()),
            text: format!(
                "{:.0} % of the {what} of node '{name}' are in use",
                part * 100.0
            ),
            advice: "move guests to another node, or give them less".to_owned(),
            since: None,
            patience: SUSTAINED,
            id,
        })
    };
    parts.into_iter().filter_map(busy).collect()
}
