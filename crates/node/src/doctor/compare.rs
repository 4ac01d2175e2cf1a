//! Facts of all nodes beside each other: clocks, versions, sizes of packets, and who did not answer.

use std::collections::BTreeSet;

use model::{Error, NodeName};
use serde_json::Value;

use super::{Finding, Level};
use crate::NodeContext;
use crate::host::interfaces::mtu_of;

const CLOCK: &str = "clock";
const VERSION: &str = "version";
const MTU: &str = "mtu";

/// The other nodes have answered at some time in this long, so no less can be said of a clock.
const ANSWERED_WITHIN_S: i64 = 3;
/// Vouchers between nodes count for 30 s, as does a one-time code.
const TOO_FAR_S: i64 = 30;

/// What the other nodes compare theirs with.
pub(super) async fn facts(node: &NodeContext) -> Result<Vec<Finding>, Error> {
    let fact = |check, found: String| Finding::of(&node.name, check, found);
    let (now, version) = (node.clock.wall(), env!("CARGO_PKG_VERSION"));
    let mut facts = vec![
        fact(CLOCK, "read".to_owned()).valued(now),
        fact(VERSION, version.to_owned()).valued(version),
    ];
    if let Some(member) = node.cluster.members.get(&node.name)
        && let Some((link, mtu)) = mtu_of(&node.host, member.host()).await?
    {
        facts.push(fact(MTU, format!("{mtu} on {link}")).valued(mtu));
    }
    Ok(facts)
}

/// Judges the facts in the findings of all nodes, beside those of this one; adds the nodes that have
/// not answered.
pub fn compare(node: &NodeContext, findings: &mut Vec<Finding>) {
    let own = |check: &str| {
        let own = |finding: &&Finding| finding.node == node.name && finding.check == check;
        let found = findings.iter().find(own);
        found.map_or(Value::Null, |finding| finding.value.clone())
    };
    let (version, mtu) = (own(VERSION), own(MTU));
    let now = node.clock.wall();
    for finding in findings.iter_mut() {
        judge(finding, now, &version, &mtu);
    }
    super::cpu::compare(findings);
    let answered: BTreeSet<NodeName> = findings.iter().map(|f| f.node.clone()).collect();
    let members = node.cluster.members.all();
    let missing = members.keys().filter(|name| !answered.contains(*name));
    findings.extend(missing.map(|name| {
        Finding::of(name, "answer", "none in time").fails(
            "nothing was examined on this node",
            format!("start {name}, or repair the link to it"),
        )
    }));
    findings.sort_by(|one, other| (&one.node, &one.check).cmp(&(&other.node, &other.check)));
}

fn judge(finding: &mut Finding, now: i64, version: &Value, mtu: &Value) {
    match finding.check.as_str() {
        CLOCK => judge_clock(finding, now),
        VERSION if finding.value != *version => {
            finding.level = Level::Warning;
            finding.means = "operations that one of the versions lacks fail".to_owned();
            finding.advice = "bring all nodes to the same version, one after the other".to_owned();
        }
        MTU if !mtu.is_null() && finding.value != *mtu => {
            finding.level = Level::Warning;
            finding.means = format!(
                "the node that was asked has {mtu}: large packets may be lost between them"
            );
            finding.advice = "give the links of all nodes the same MTU".to_owned();
        }
        _ => {}
    }
}

fn judge_clock(finding: &mut Finding, now: i64) {
    let Some(theirs) = finding.value.as_i64() else {
        return;
    };
    // It was read between then and now.
    let ahead = theirs - now;
    let behind = now - ANSWERED_WITHIN_S - theirs;
    let off = ahead.max(behind).max(0);
    finding.found = match off {
        0 => format!("within {ANSWERED_WITHIN_S} s of the node that was asked"),
        off if ahead > 0 => format!("{off} s ahead"),
        off => format!("{off} s behind"),
    };
    if off == 0 {
        return;
    }
    let is_far = off >= TOO_FAR_S;
    finding.level = if is_far { Level::Error } else { Level::Warning };
    finding.means = match is_far {
        true => "logins with one-time codes and requests of root between nodes fail",
        false => "times in logs cannot be compared",
    }
    .to_owned();
    finding.advice = "let a time service set the clocks of all nodes".to_owned();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(check: &str, value: impl Into<Value>) -> Finding {
        let name: NodeName = "b".parse().unwrap();
        let mut finding = Finding::of(&name, check, "x").valued(value);
        judge(&mut finding, 1000, &"0.2.0".into(), &1500.into());
        finding
    }

    #[test]
    fn a_clock_is_judged_as_far_as_can_be_said() {
        for (time, level, found) in [
            (1000, Level::Ok, "within 3 s of the node that was asked"),
            (997, Level::Ok, "within 3 s of the node that was asked"),
            (1005, Level::Warning, "5 s ahead"),
            (990, Level::Warning, "7 s behind"),
            (1030, Level::Error, "30 s ahead"),
            (900, Level::Error, "97 s behind"),
        ] {
            let finding = judged(CLOCK, time);
            assert_eq!((finding.level, finding.found.as_str()), (level, found));
        }
    }

    #[test]
    fn versions_and_packets_are_compared() {
        assert_eq!(judged(VERSION, "0.2.0").level, Level::Ok);
        assert_eq!(judged(VERSION, "0.1.0").level, Level::Warning);
        assert_eq!(judged(MTU, 1500).level, Level::Ok);
        let finding = judged(MTU, 9000);
        assert!(finding.means.contains("has 1500"), "{finding:?}");
    }
}
