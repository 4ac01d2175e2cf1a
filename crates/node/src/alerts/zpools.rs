//! Pools of ZFS that are not whole, had errors, or have not been scrubbed for long.

use std::time::Duration;

use model::{NodeName, UnixTime};
use tracing::debug;

use super::alert::{Condition, Patience, Severity, Subject};
use super::list::lock;
use crate::NodeContext;
use crate::host::pools::zfs::NOT_INSTALLED;
use crate::host::pools::zpool::{self, ScanKind, ScanState, State};

/// How often pools are looked at. It is a look of its own: a pool that hangs holds up no other alert.
const LOOK: Duration = Duration::from_secs(20);

const DAY_S: i64 = 86_400;

/// Debian scrubs pools on the second Sunday of each month, 35 days apart at most; some take days.
const SCRUB_DUE_DAYS: i64 = 40;

const SEEN: Patience = Patience::of(0, 10);

/// Looks at the pools for as long as the agent lives. Never returns.
pub async fn follow_zpools(node: &NodeContext) {
    loop {
        match zpool::states(&node.host).await {
            Ok(states) => *lock(&node.alerts.zpools) = states,
            Err(error) if error.message == NOT_INSTALLED => {}
            // What is known stays: a pool that does not answer is not well again.
            Err(error) => debug!(%error, "pools of ZFS cannot be looked at"),
        }
        node.clock.sleep(LOOK).await;
    }
}

pub(super) fn conditions(node: &NodeContext) -> Vec<Condition> {
    let states = lock(&node.alerts.zpools);
    let now = node.clock.wall();
    let all = states.iter().map(|state| of(&node.name, state, now));
    all.flatten().collect()
}

/// What is wrong with one pool.
fn of(node: &NodeName, state: &State, now: UnixTime) -> Vec<Condition> {
    let name = &state.pool.name;
    let add = |what: &str, severity, text: String, advice: &str| Condition {
        id: format!("{what}/{node}/{name}"),
        severity,
        subject: Subject::Node(node.clone()),
        text: format!("pool '{name}' of node '{node}' {text}"),
        advice: advice.to_owned(),
        since: None,
        patience: SEEN,
    };
    let mut found = Vec::new();
    if state.pool.health != "ONLINE" {
        let advice = "bring the device back ('ostler pool online'), or replace it \
                      ('ostler pool replace')";
        found.push(add(
            "pool-degraded",
            Severity::Error,
            not_whole(state),
            advice,
        ));
    }
    if let Some(text) = with_errors(state) {
        let advice = "look at the disk and its cable; then 'ostler pool replace', or 'ostler pool \
                      clear' and a scrub";
        found.push(add("pool-errors", Severity::Warning, text, advice));
    }
    let errors = &state.status.errors;
    if !errors.is_empty() && errors != "No known data errors" {
        let advice = "'zpool status -v' names what is damaged: bring it back from a backup";
        let text = format!("has lost data: {errors}");
        found.push(add("pool-data", Severity::Error, text, advice));
    }
    found.extend(
        scrubbed(state, now)
            .map(|(what, severity, text, advice)| add(what, severity, text, advice)),
    );
    found
}

/// Which devices are missing.
fn not_whole(state: &State) -> String {
    let lost = state.leaves().into_iter().filter_map(|device| {
        let is = device.state.as_deref()?;
        let is_well = matches!(is, "ONLINE" | "AVAIL" | "INUSE");
        (!is_well).then(|| match device.message.is_empty() {
            true => format!("{} is {is}", device.name),
            false => format!("{} is {is} ({})", device.name, device.message),
        })
    });
    let lost: Vec<String> = lost.collect();
    let health = &state.pool.health;
    match lost.is_empty() {
        true => format!("is {health}"),
        false => format!("is {health}: {}", lost.join(", ")),
    }
}

fn with_errors(state: &State) -> Option<String> {
    let counts = state.leaves().into_iter().filter_map(|device| {
        let [read, write, checksum] = device.errors?;
        let had = read + write + checksum > 0.0;
        let name = &device.name;
        had.then(|| format!("{name} ({read} reading, {write} writing, {checksum} checksums)"))
    });
    let counts: Vec<String> = counts.collect();
    (!counts.is_empty()).then(|| format!("had errors of devices: {}", counts.join(", ")))
}

type Scrubbed = (&'static str, Severity, String, &'static str);

fn scrubbed(state: &State, now: UnixTime) -> Option<Scrubbed> {
    let scan = state.scan.as_ref();
    if let Some(scan) = scan.filter(|scan| scan.errors.is_some_and(|errors| errors > 0)) {
        let text = format!(
            "has {} errors that its last {} could not repair",
            scan.errors.unwrap_or_default(),
            scan.kind.as_str()
        );
        let advice = "'zpool status -v' names what is damaged; scrub again once it is replaced";
        return Some(("pool-scrub-errors", Severity::Error, text, advice));
    }
    if scan.is_some_and(|scan| scan.state == ScanState::Running) {
        return None;
    }
    // A resilver hides when the last scrub was, and reads less than one.
    let last = scan.filter(|scan| scan.state == ScanState::Finished);
    let days = (now - last.map_or(state.created, |scan| scan.at)) / DAY_S;
    let text = match last.map(|scan| scan.kind) {
        Some(ScanKind::Scrub) => format!("was last scrubbed {days} days ago"),
        Some(ScanKind::Resilver) => {
            format!("has not been scrubbed since its resilver {days} days ago")
        }
        None => format!("has not been scrubbed for {days} days"),
    };
    let advice = "'ostler pool scrub', and see why nothing scrubs it each month";
    (days > SCRUB_DUE_DAYS).then_some(("pool-scrub-overdue", Severity::Warning, text, advice))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::pools::zfs::{Device, Pool, Status};
    use crate::host::pools::zpool::Scan;

    const NOW: UnixTime = 1_796_000_000;

    fn device(name: &str, state: &str, errors: [f64; 3], children: Vec<Device>) -> Device {
        Device {
            name: name.to_owned(),
            state: Some(state.to_owned()),
            errors: Some(errors),
            children,
            ..Device::default()
        }
    }

    fn state(health: &str, other: Device, scan: Option<Scan>) -> State {
        let one = device("/dev/sdb1", "ONLINE", [0.0; 3], vec![]);
        let mirror = device("mirror-0", health, [0.0; 3], vec![one, other]);
        State {
            pool: Pool {
                name: "tank".to_owned(),
                size: 100,
                alloc: 25,
                free: 75,
                frag: 0,
                dedup: 1.0,
                compression: 1.0,
                health: health.to_owned(),
            },
            status: Status {
                errors: "No known data errors".to_owned(),
                devices: vec![device("tank", health, [0.0; 3], vec![mirror])],
                ..Status::default()
            },
            scan,
            created: NOW - 10 * DAY_S,
        }
    }

    fn scrub(days_ago: i64, errors: u64) -> Option<Scan> {
        Some(Scan {
            kind: ScanKind::Scrub,
            state: ScanState::Finished,
            at: NOW - days_ago * DAY_S,
            progress: None,
            errors: Some(errors),
            repaired: None,
        })
    }

    fn found(state: &State) -> Vec<(String, String)> {
        let found = of(&"pve1".parse().unwrap(), state, NOW);
        found
            .into_iter()
            .map(|found| (found.id, found.text))
            .collect()
    }

    #[test]
    fn a_pool_that_is_well_is_no_alert() {
        let well = || device("/dev/sdc1", "ONLINE", [0.0; 3], vec![]);
        assert_eq!(found(&state("ONLINE", well(), None)), []);
        assert_eq!(found(&state("ONLINE", well(), scrub(30, 0))), []);
    }

    #[test]
    fn a_lost_member_is_named() {
        let lost = device("9321", "UNAVAIL", [0.0; 3], vec![]);
        let lost = Device {
            message: "was /dev/sdc1".to_owned(),
            ..lost
        };
        let text = "pool 'tank' of node 'pve1' is DEGRADED: 9321 is UNAVAIL (was /dev/sdc1)";
        let expected = ("pool-degraded/pve1/tank".to_owned(), text.to_owned());
        assert_eq!(found(&state("DEGRADED", lost, None)), [expected]);
    }

    #[test]
    fn errors_and_scrubs_are_alerts_of_their_own() {
        let bad = device("/dev/sdc1", "ONLINE", [1.0, 0.0, 12.0], vec![]);
        let mut state = state("ONLINE", bad, scrub(41, 0));
        state.status.errors = "3 data errors, use '-v' for a list".to_owned();
        let ids = |state: &State| -> Vec<String> {
            let ids = found(state).into_iter();
            ids.map(|(id, _)| id.split('/').next().unwrap().to_owned())
                .collect()
        };
        assert_eq!(
            ids(&state),
            ["pool-errors", "pool-data", "pool-scrub-overdue"]
        );
        state.scan = scrub(1, 2);
        assert_eq!(ids(&state)[2], "pool-scrub-errors");
        // A scrub that runs will say.
        state.scan = scrub(60, 0).map(|scan| Scan {
            state: ScanState::Running,
            errors: None,
            ..scan
        });
        assert_eq!(ids(&state), ["pool-errors", "pool-data"]);
    }
}
