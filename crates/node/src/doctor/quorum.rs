//! Whether the state can be changed, and how fast it answers.

use std::time::Duration;

use model::Error;
use store::Read;

use super::Finding;
use crate::NodeContext;
use crate::state::cluster_key;

/// A change takes several of these; people notice from here on.
const SLOW: Duration = Duration::from_millis(100);

pub(super) async fn check(node: &NodeContext) -> Result<Vec<Finding>, Error> {
    let store = node.records.store();
    let finding = |found: String| Finding::of(&node.name, "quorum", found);
    if let Some(outage) = store.outage() {
        let age = outage.age.unwrap_or_default().as_secs();
        let found = format!("none since {age} s ago: {}", outage.reason);
        return Ok(vec![finding(found).fails(
            "guests run on, nothing can be changed, guests that start at boot wait",
            "start the nodes that are missing, or repair the links to them",
        )]);
    }
    let begun = node.clock.monotonic();
    store.get(&cluster_key(), Read::Linear).await?;
    let took = node.clock.monotonic() - begun;
    let finding = finding(format!("a read of the newest state takes {took:.1?}"));
    Ok(vec![match took < SLOW {
        true => finding,
        false => finding.warns(
            "every change and every request is slow",
            "look for slow disks and slow links below",
        ),
    }])
}
