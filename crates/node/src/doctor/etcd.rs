//! This node's etcd: its version, its disk, its size.

use std::time::Duration;

use model::{Error, NodeName};
use store::EtcdHealth;

use super::Finding;
use crate::NodeContext;

/// etcd's members send each other a beat every 100 ms.
const SLOW_WRITE: Duration = Duration::from_millis(50);
const TOO_SLOW_WRITE: Duration = Duration::from_millis(500);
/// etcd accepts no change once its file has 2 GiB.
const LARGE_BYTES: u64 = 1 << 30;

pub(super) async fn check(node: &NodeContext) -> Result<Vec<Finding>, Error> {
    let Some(state) = &node.state else {
        return Ok(Vec::new());
    };
    match state.examine_server().await {
        Ok(None) => Ok(Vec::new()),
        Ok(Some(health)) => Ok(findings(&node.name, &health)),
        Err(error) => {
            let finding = Finding::of(&node.name, "etcd", error.to_string());
            Ok(vec![finding.fails(
                "this node's vote is missing",
                "look at etcd.log in the agent's folder on this node",
            )])
        }
    }
}

fn findings(node: &NodeName, health: &EtcdHealth) -> Vec<Finding> {
    let finding = |check: &str, found: String| Finding::of(node, check, found);
    let version = finding("etcd version", health.version.clone());
    let version = match is_old(&health.version) {
        false => version,
        true => version.warns(
            "may end leases early after a stalled leader, and lose events at a compaction",
            "install etcd 3.6, as in the package of Ostler",
        ),
    };
    let size = finding("etcd size", format!("{} MiB", health.db_bytes >> 20));
    let size = match health.db_bytes < LARGE_BYTES {
        true => size,
        false => size.warns(
            "at 2 GiB nothing can be changed any more",
            "look for what writes so much, and report it",
        ),
    };
    let mut findings = vec![version, size, speed(node, health)];
    findings.extend(health.alarms.iter().map(|alarm| {
        finding("etcd alarm", alarm.clone()).fails(
            "etcd refuses changes",
            "make space on its disk; replace this voter if its file is damaged",
        )
    }));
    if health.is_learner {
        let learner = finding("etcd vote", "none yet: it copies the state".to_owned());
        findings.push(learner.warns("one loss more than planned stops changes", "wait"));
    }
    findings
}

fn speed(node: &NodeName, health: &EtcdHealth) -> Finding {
    let Some(speed) = health.speed else {
        let finding = Finding::of(node, "etcd speed", "it has no leader");
        return finding.fails(
            "nothing can be changed at this node",
            "start the other voters, or repair the links to them",
        );
    };
    let found = format!(
        "a write takes {:.1?}, a read {:.1?}",
        speed.write, speed.read
    );
    let finding = Finding::of(node, "etcd speed", found);
    let advice = "give etcd a faster disk, or one that guests do not use";
    if speed.write >= TOO_SLOW_WRITE {
        finding.fails("leaders are lost, changes fail at times", advice)
    } else if speed.write >= SLOW_WRITE {
        finding.warns("changes are slow; under load leaders may be lost", advice)
    } else {
        finding
    }
}

/// Whether it lacks the corrections of 3.5 and later.
fn is_old(version: &str) -> bool {
    let mut numbers = version.split('.').map(|part| part.parse().unwrap_or(0));
    let (major, minor) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    (major, minor) < (3, 5)
}

#[cfg(test)]
mod tests {
    use store::EtcdSpeed;

    use super::super::Level;
    use super::*;

    fn worst(change: impl FnOnce(&mut EtcdHealth)) -> (Level, String) {
        let fast = Duration::from_millis(2);
        let mut health = EtcdHealth {
            version: "3.6.16".to_owned(),
            db_bytes: 20 << 20,
            is_learner: false,
            alarms: Vec::new(),
            speed: Some(EtcdSpeed {
                read: fast,
                write: fast,
            }),
        };
        change(&mut health);
        let findings = findings(&"a".parse().unwrap(), &health);
        let worst = findings.into_iter().max_by_key(|finding| finding.level);
        let worst = worst.unwrap();
        (worst.level, worst.check)
    }

    #[test]
    fn each_defect_has_its_finding() {
        assert_eq!(worst(|_| {}).0, Level::Ok);
        let write = |health: &mut EtcdHealth, ms: u64| {
            health.speed.as_mut().unwrap().write = Duration::from_millis(ms);
        };
        let cases: [(Level, &str, (Level, String)); 7] = [
            (
                Level::Warning,
                "etcd version",
                worst(|health| health.version = "3.4.23".to_owned()),
            ),
            (
                Level::Warning,
                "etcd size",
                worst(|health| health.db_bytes = 3 << 29),
            ),
            (
                Level::Warning,
                "etcd speed",
                worst(|health| write(health, 80)),
            ),
            (
                Level::Error,
                "etcd speed",
                worst(|health| write(health, 900)),
            ),
            (
                Level::Error,
                "etcd speed",
                worst(|health| health.speed = None),
            ),
            (
                Level::Error,
                "etcd alarm",
                worst(|health| health.alarms = vec!["NOSPACE".to_owned()]),
            ),
            (
                Level::Warning,
                "etcd vote",
                worst(|health| health.is_learner = true),
            ),
        ];
        for (level, check, found) in cases {
            assert_eq!(found, (level, check.to_owned()));
        }
    }
}
