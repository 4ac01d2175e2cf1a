//! Certificates that end soon.

use model::Error;

use super::alert::{Condition, Patience, Severity, Subject};
use crate::NodeContext;
use crate::doctor::{Level, certificates};

pub(super) async fn conditions(node: &NodeContext) -> Result<Vec<Condition>, Error> {
    let now = node.clock.wall();
    let ends = certificates::ends(node).await?;
    let found = ends.into_iter().filter_map(|(name, end)| {
        let finding = certificates::finding(&node.name, name, end, now);
        let severity = match finding.level {
            Level::Ok => return None,
            Level::Warning => Severity::Warning,
            Level::Error => Severity::Error,
        };
        Some(Condition {
            id: format!("certificate-ends/{}/{}", node.name, name.replace(' ', "-")),
            severity,
            subject: Subject::Node(node.name.clone()),
            text: format!("the certificate {} of node '{}'", finding.found, node.name),
            advice: finding.advice,
            since: None,
            patience: Patience::default(),
        })
    });
    Ok(found.collect())
}
