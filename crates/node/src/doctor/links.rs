//! Whether this node hears the others.

use model::Error;

use super::Finding;
use crate::NodeContext;
use crate::cluster::Hearing;

pub(super) async fn check(node: &NodeContext) -> Result<Vec<Finding>, Error> {
    let links = node.cluster.links();
    let findings = links.iter().map(|link| {
        let other = link.node();
        let finding = |found: String| Finding::of(&node.name, "link", found);
        match link.hearing() {
            Hearing::Heard => finding(format!("{other} is heard")),
            Hearing::Unknown => finding(format!("{other} is being connected to"))
                .warns("it has not reported yet", "wait, and examine again"),
            Hearing::Silent => finding(format!("{other} is silent")).fails(
                "its guests are shown as unknown, requests for it fail",
                format!("start {other}, or let the port of its agent through"),
            ),
        }
    });
    Ok(findings.collect())
}
