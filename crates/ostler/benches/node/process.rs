//! What the kernel says about a process.

use std::fmt;
use std::time::Duration;

use crate::harness::TestNode;

/// The kernel counts in hundredths of a second towards user space on every machine we run on.
const TICK: Duration = Duration::from_millis(10);

fn stat(pid: u32) -> Vec<u64> {
    let line = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    // The name is in parentheses and may hold anything.
    let (_, rest) = line.rsplit_once(')').unwrap();
    rest.split_whitespace()
        .map(|field| field.parse().unwrap_or_default())
        .collect()
}

/// The CPU time that a process has used, without its children.
pub(crate) fn cpu(pid: u32) -> Duration {
    let fields = stat(pid);
    TICK * u32::try_from(fields[11] + fields[12]).unwrap()
}

/// The CPU time of the children that a process has waited for.
pub(crate) fn cpu_of_children(pid: u32) -> Duration {
    let fields = stat(pid);
    TICK * u32::try_from(fields[13] + fields[14]).unwrap()
}

/// What a process weighs by itself and by its part of what it shares.
pub(crate) fn pss_mib(pid: u32) -> f64 {
    let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
    let line = rollup.lines().find(|line| line.starts_with("Pss:"));
    let kib: f64 = line
        .and_then(|line| line.split_whitespace().nth(1))
        .unwrap()
        .parse()
        .unwrap();
    kib / 1024.0
}

pub(crate) const HEAD: &str = "\
| guests | when | api | agent | together | `ostler run` |
|---|---|---|---|---|---|";

/// What a node's processes weigh, with the allocator as `ostler run` sets it.
pub(crate) struct Weights {
    api: f64,
    agent: f64,
    supervisor: f64,
}

impl Weights {
    pub(crate) fn of(node: &TestNode) -> Self {
        let api = node.role("api")[0];
        let parent = u32::try_from(stat(api)[1]).unwrap();
        Self {
            api: pss_mib(api),
            agent: pss_mib(node.role("node")[0]),
            supervisor: pss_mib(parent),
        }
    }

    pub(crate) fn together(&self) -> f64 {
        self.api + self.agent
    }
}

impl fmt::Display for Weights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (api, agent, supervisor) = (self.api, self.agent, self.supervisor);
        let together = self.together();
        write!(
            f,
            "{api:.1} | {agent:.1} | **{together:.1}** | {supervisor:.1}"
        )
    }
}

/// The value below which a part of all values lies.
pub(crate) fn percentile(values: &mut [Duration], part: f64) -> Duration {
    values.sort_unstable();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a place in a short list"
    )]
    let at = ((values.len() - 1) as f64 * part).round() as usize;
    values[at]
}

pub(crate) fn ms(value: Duration) -> String {
    format!("{:.2}", value.as_secs_f64() * 1e3)
}
