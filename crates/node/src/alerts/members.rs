//! Members that are silent, and the majority that is lost or nearly.

use std::collections::BTreeSet;

use model::NodeName;

use super::alert::{Condition, Patience, Severity, Subject};
use crate::NodeContext;
use crate::cluster::Hearing;
use crate::membership::witness_answers;

/// A member that restarts is silent for a moment.
const SILENCE: Patience = Patience::of(10, 5);

pub(super) async fn conditions(node: &NodeContext) -> Vec<Condition> {
    let members = node.cluster.members.all();
    let links = node.cluster.links();
    let silent = links
        .iter()
        .filter(|link| link.hearing() == Hearing::Silent);
    let silent: BTreeSet<&NodeName> = silent.map(|link| link.node()).collect();
    let mut found: Vec<Condition> = silent.iter().map(|name| is_silent(name)).collect();
    let voters = members.values().filter(|member| member.votes > 0);
    let mut voters: Vec<&NodeName> = voters.map(|member| &member.name).collect();
    let mut missing: Vec<&NodeName> = voters
        .iter()
        .copied()
        .filter(|name| silent.contains(name))
        .collect();
    let witness = node.records.local().witness().await.unwrap_or_default();
    let witness = witness.filter(|witness| witness.votes > 0);
    if let Some(witness) = &witness {
        voters.push(&witness.name);
        if !witness_answers(node, witness).await.unwrap_or(true) {
            missing.push(&witness.name);
            found.push(witness_is_silent(&witness.name));
        }
    }
    let outage = node.records.store().outage();
    let outage = outage.map(|outage| outage.reason);
    found.extend(majority(voters.len(), &missing, outage));
    found
}

fn is_silent(name: &NodeName) -> Condition {
    Condition {
        id: format!("node-silent/{name}"),
        severity: Severity::Error,
        subject: Subject::Node(name.clone()),
        text: format!("node '{name}' does not report; what its guests do is unknown"),
        advice: "look at its power, its network and its agent (systemctl status ostler-node)"
            .to_owned(),
        since: None,
        patience: SILENCE,
    }
}

fn witness_is_silent(name: &NodeName) -> Condition {
    Condition {
        id: "witness-silent".to_owned(),
        severity: Severity::Error,
        subject: Subject::Cluster,
        text: format!("the witness '{name}' does not answer; its vote is missing"),
        advice: "look at its power, its network and its service (systemctl status ostler-witness)"
            .to_owned(),
        since: None,
        patience: SILENCE,
    }
}

/// `outage` says why there is no majority.
fn majority(voters: usize, missing: &[&NodeName], outage: Option<String>) -> Option<Condition> {
    let (present, needed) = (voters.saturating_sub(missing.len()), voters / 2 + 1);
    let is_thin = !missing.is_empty() && present <= needed;
    let names: Vec<&str> = missing.iter().map(|name| name.as_str()).collect();
    let names = names.join(", ");
    let (severity, text, advice) = match outage {
        Some(reason) => (
            Severity::Error,
            format!("the cluster has no majority, so nothing can be changed: {reason}"),
            "start the nodes that are missing, or repair the links to them".to_owned(),
        ),
        None if is_thin => (
            Severity::Warning,
            format!("{present} of {voters} votes are present, and {needed} are needed"),
            format!("bring back {names}: without one more vote nothing can be changed"),
        ),
        None => return None,
    };
    Some(Condition {
        id: "quorum".to_owned(),
        severity,
        subject: Subject::Cluster,
        text,
        advice,
        since: None,
        patience: SILENCE,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_majority_that_cannot_lose_another_vote_is_thin() {
        let names: Vec<NodeName> = ["a", "b", "c"].map(|name| name.parse().unwrap()).into();
        let severity = |voters, missing: usize, outage: Option<&str>| {
            let missing: Vec<&NodeName> = names.iter().take(missing).collect();
            let found = majority(voters, &missing, outage.map(str::to_owned));
            found.map(|condition| condition.severity)
        };
        assert_eq!(severity(3, 0, None), None);
        assert_eq!(severity(3, 1, None), Some(Severity::Warning));
        assert_eq!(severity(5, 1, None), None);
        assert_eq!(severity(5, 2, None), Some(Severity::Warning));
        // A node of its own has no majority to lose.
        assert_eq!(severity(1, 0, None), None);
        assert_eq!(severity(3, 2, Some("no leader")), Some(Severity::Error));
        let thin = majority(3, &[&names[1]], None).unwrap();
        assert_eq!(thin.text, "2 of 3 votes are present, and 2 are needed");
        assert!(thin.advice.starts_with("bring back b"));
    }
}
