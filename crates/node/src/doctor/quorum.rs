//! Whether the state can be changed, and how fast it answers.

use std::time::Duration;

use model::{Error, NodeName};
use store::Read;

use super::Finding;
use crate::NodeContext;
use crate::state::cluster_key;

/// A change takes several of these; people notice from here on.
const SLOW: Duration = Duration::from_millis(100);

pub(super) async fn check(node: &NodeContext) -> Result<Vec<Finding>, Error> {
    let mut findings = vec![state(node).await?];
    let members = node.cluster.members.all();
    if members.len() > 1 {
        let witness = node.records.local().witness().await?;
        let witness = witness.filter(|witness| witness.votes > 0);
        let voters = members.values().filter(|member| member.votes > 0);
        let voters = voters.map(|member| &member.name);
        let voters = voters.chain(witness.iter().map(|witness| &witness.name));
        let voters: Vec<&NodeName> = voters.collect();
        findings.push(votes(&node.name, members.len(), &voters));
    }
    Ok(findings)
}

/// What the cluster can lose, before it has lost it.
fn votes(node: &NodeName, members: usize, voters: &[&NodeName]) -> Finding {
    let names: Vec<String> = voters.iter().map(ToString::to_string).collect();
    let names = names.join(", ");
    let spare = voters.len().saturating_sub(1) / 2;
    match spare {
        0 => Finding::of(node, "votes", format!("{names}: none of them may be lost")).warns(
            format!("without {names} nothing can be changed"),
            "add a third node, or a witness ('ostler cluster invite --witness')",
        ),
        1 if members == 4 && voters.len() == 3 => Finding::of(
            node,
            "votes",
            format!(
                "{names}: 1 of them may be lost, one more stops changes; with a witness all four \
                 vote, and any 2 may be lost"
            ),
        ),
        spare => {
            let found = format!("{names}: {spare} of them may be lost, one more stops changes");
            Finding::of(node, "votes", found)
        }
    }
}

async fn state(node: &NodeContext) -> Result<Finding, Error> {
    let store = node.records.store();
    let finding = |found: String| Finding::of(&node.name, "quorum", found);
    if let Some(outage) = store.outage() {
        let age = outage.age.unwrap_or_default().as_secs();
        let found = format!("none since {age} s ago: {}", outage.reason);
        return Ok(finding(found).fails(
            "guests run on, nothing can be changed, guests that start at boot wait",
            "start the nodes that are missing, or repair the links to them",
        ));
    }
    let begun = node.clock.monotonic();
    store.get(&cluster_key(), Read::Linear).await?;
    let took = node.clock.monotonic() - begun;
    let finding = finding(format!("a read of the newest state takes {took:.1?}"));
    Ok(match took < SLOW {
        true => finding,
        false => finding.warns(
            "every change and every request is slow",
            "look for slow disks and slow links below",
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;

    #[test]
    fn what_may_be_lost_is_said_beforehand() {
        let names: Vec<NodeName> = ["a", "b", "c"].map(|name| name.parse().unwrap()).into();
        let votes = |voters: usize| {
            let voters: Vec<&NodeName> = names.iter().take(voters).collect();
            super::votes(&names[0], 3, &voters)
        };
        assert_eq!(votes(3).level, Level::Ok);
        assert!(votes(3).found.starts_with("a, b, c: 1 of them may be lost"));
        assert_eq!(votes(1).level, Level::Warning);
        assert_eq!(votes(1).means, "without a nothing can be changed");
    }
}
