//! Memory goes where it is needed: guests give back what they do not use while the host is short
//! of it, and get it again when there is enough.
//!
//! A guest takes part that has a balloon, a `balloon` below its `memory` and `shares`. It keeps
//! `balloon` in any case. What is taken comes from idle memory first; `shares` decide among equals.
//! Each round moves a little, because guests take their time and the next measurement shows more.

use model::{VmId, with_timeout};
use proto::status::{GuestUsage, NodeUsage};
use tracing::{info, warn};

use crate::qemu::monitors::PATIENCE;
use crate::tasks::qmp_failed;
use crate::{NodeContext, node_config_key};

/// In percent of the host's memory, unless it is configured.
const TARGET_PERCENT: u64 = 80;
/// A part of the host's memory that is too small to act upon.
const DEAD_BAND_PART: u64 = 100;
/// What a guest is left with beyond what it uses, while others have idle memory to give.
const RESERVE_PART: u64 = 10;
/// The most that one round moves: a part of the guest's memory, or this.
const STEP_PART: u64 = 20;
const STEP_MIN: u64 = 64 << 20;
const MIB: u64 = 1 << 20;

/// The host's memory, in bytes.
#[derive(Debug, Clone, Copy)]
struct HostMemory {
    total: u64,
    used: u64,
    target_percent: u64,
}

/// A guest that takes part, in bytes.
#[derive(Debug, Clone, PartialEq)]
struct Guest {
    vmid: VmId,
    /// What it has now.
    actual: u64,
    floor: u64,
    ceiling: u64,
    /// Of what it has, by its own account.
    free: u64,
    shares: u64,
}

impl Guest {
    fn step(&self) -> u64 {
        (self.ceiling / STEP_PART).max(STEP_MIN)
    }

    fn idle(&self) -> u64 {
        self.free.saturating_sub(self.actual / RESERVE_PART)
    }
}

/// One round, after a measurement.
pub(crate) async fn balance(node: &NodeContext, host: &NodeUsage, usages: &[GuestUsage]) {
    let told = usages.iter().filter(|usage| may_take_part(usage));
    let told: Vec<&GuestUsage> = told.collect();
    if told.is_empty() {
        return;
    }
    let settings = node
        .records
        .local()
        .settings(&node_config_key(&node.name))
        .await;
    let target_percent = match settings {
        Ok(settings) => settings.ballooning_target().unwrap_or(TARGET_PERCENT),
        Err(error) => return warn!(%error, "the target of ballooning is not known"),
    };
    let host = HostMemory {
        total: host.memory_total,
        used: host.memory,
        target_percent,
    };
    if host.missing().is_none() && told.iter().all(|usage| is_whole(usage)) {
        return;
    }
    let mut guests = Vec::new();
    for usage in told {
        guests.extend(participant(node, usage).await);
    }
    for (vmid, bytes) in targets(host, &guests) {
        if let Err(error) = inflate(node, vmid, bytes).await {
            warn!(%vmid, %error, "its balloon cannot be changed");
        } else {
            info!(%vmid, mib = bytes / MIB, host_used = host.used / MIB, "ballooned");
        }
    }
}

/// Whether a guest runs and reports its memory.
fn may_take_part(usage: &GuestUsage) -> bool {
    let tells = |balloon: &proto::status::Balloon| balloon.free.is_some();
    usage.qmp_status.as_deref() == Some("running") && usage.balloon.as_ref().is_some_and(tells)
}

fn is_whole(usage: &GuestUsage) -> bool {
    let balloon = usage.balloon.as_ref();
    balloon.is_none_or(|balloon| balloon.actual >= balloon.max)
}

async fn participant(node: &NodeContext, usage: &GuestUsage) -> Option<Guest> {
    let record = node
        .records
        .local()
        .qemu(usage.vmid)
        .await
        .ok()?
        .record
        .data;
    let config = &record.config;
    let number = |option: &str| u64::try_from(config.integer(option)?).ok();
    let balloon = usage.balloon.as_ref()?;
    let guest = Guest {
        vmid: usage.vmid,
        actual: balloon.actual,
        floor: number("balloon").filter(|mib| *mib > 0)? * MIB,
        ceiling: balloon.max,
        free: balloon.free?,
        shares: number("shares").unwrap_or(1000),
    };
    (guest.shares > 0 && guest.floor < guest.ceiling).then_some(guest)
}

async fn inflate(node: &NodeContext, vmid: VmId, bytes: u64) -> Result<(), model::Error> {
    let set = with_timeout(&*node.clock, PATIENCE, async {
        let qmp = node.running.qmp(vmid).await?;
        qmp.set_balloon(bytes).await.map_err(qmp_failed)
    });
    // The next measurement waits for this one.
    let late = || Err(model::Error::unavailable("QEMU does not answer"));
    set.await.unwrap_or_else(late)
}

impl HostMemory {
    fn target(self) -> u64 {
        self.total / 100 * self.target_percent
    }

    /// What is used beyond the target, if that is enough to act upon.
    fn missing(self) -> Option<u64> {
        let missing = self.used.saturating_sub(self.target());
        (missing > self.total / DEAD_BAND_PART).then_some(missing)
    }

    /// What is left below the target, if that is enough to act upon.
    fn left(self) -> Option<u64> {
        let left = self.target().saturating_sub(self.used);
        (left > self.total / DEAD_BAND_PART).then_some(left)
    }
}

/// What each guest that is to have more or less shall have.
fn targets(host: HostMemory, guests: &[Guest]) -> Vec<(VmId, u64)> {
    let wanted: Vec<u64> = if let Some(missing) = host.missing() {
        let taken = take(missing, guests).into_iter().zip(guests);
        taken.map(|(bytes, guest)| guest.actual - bytes).collect()
    } else if let Some(left) = host.left() {
        let given = give(left, guests).into_iter().zip(guests);
        given.map(|(bytes, guest)| guest.actual + bytes).collect()
    } else {
        return Vec::new();
    };
    let wanted = wanted.into_iter().map(|bytes| bytes / MIB * MIB);
    let changed = guests.iter().zip(wanted);
    changed
        .map(|(guest, wanted)| (guest, wanted.clamp(guest.floor, guest.ceiling)))
        .filter(|(guest, wanted)| guest.actual != *wanted)
        .map(|(guest, wanted)| (guest.vmid, wanted))
        .collect()
}

/// What is taken of each guest: first of what is idle, then down to the floors.
fn take(missing: u64, guests: &[Guest]) -> Vec<u64> {
    let spare = |guest: &Guest| guest.actual.saturating_sub(guest.floor).min(guest.step());
    let weight = |guest: &Guest| 1.0 / guest.shares as f64;
    let idle = |guest: &Guest| (spare(guest).min(guest.idle()), weight(guest));
    let idle = divide(missing, &guests.iter().map(idle).collect::<Vec<_>>());
    let rest = missing - idle.iter().sum::<u64>();
    let used = guests.iter().zip(&idle);
    let used = used.map(|(guest, idle)| (spare(guest) - idle, weight(guest)));
    let used = divide(rest, &used.collect::<Vec<_>>());
    idle.iter()
        .zip(used)
        .map(|(idle, used)| idle + used)
        .collect()
}

/// What each guest is given.
fn give(left: u64, guests: &[Guest]) -> Vec<u64> {
    let room = |guest: &Guest| {
        let room = guest.ceiling.saturating_sub(guest.actual);
        (room.min(guest.step()), guest.shares as f64)
    };
    divide(left, &guests.iter().map(room).collect::<Vec<_>>())
}

/// Divides an amount by weights, and gives no guest more than it can take.
fn divide(amount: u64, takers: &[(u64, f64)]) -> Vec<u64> {
    let mut parts = vec![0; takers.len()];
    let mut left = amount.min(takers.iter().map(|(most, _)| most).sum());
    while left > 0 {
        let open: Vec<usize> = (0..takers.len())
            .filter(|taker| parts[*taker] < takers[*taker].0)
            .collect();
        let weights: f64 = open.iter().map(|taker| takers[*taker].1).sum();
        let round = left;
        for taker in open {
            let (most, weight) = takers[taker];
            // At least a byte, so that it ends.
            let fair = ((round as f64 * weight / weights) as u64).max(1);
            let part = fair.min(most - parts[taker]).min(left);
            parts[taker] += part;
            left -= part;
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    fn guest(vmid: u32, actual_gib: u64, free_gib: u64, shares: u64) -> Guest {
        Guest {
            vmid: VmId::new(vmid).unwrap(),
            actual: actual_gib * GIB,
            floor: GIB,
            ceiling: 8 * GIB,
            free: free_gib * GIB,
            shares,
        }
    }

    fn host(used_percent: u64) -> HostMemory {
        HostMemory {
            total: 100 * GIB,
            used: used_percent * GIB,
            target_percent: 80,
        }
    }

    fn changes(host: HostMemory, guests: &[Guest]) -> Vec<(u32, i64)> {
        let targets = targets(host, guests).into_iter();
        let actual = |vmid: VmId| {
            guests
                .iter()
                .find(|guest| guest.vmid == vmid)
                .unwrap()
                .actual
        };
        targets
            .map(|(vmid, wanted)| {
                let change = wanted.cast_signed() - actual(vmid).cast_signed();
                (vmid.get(), change / MIB.cast_signed())
            })
            .collect()
    }

    #[test]
    fn idle_memory_goes_first() {
        let guests = [
            guest(100, 8, 6, 1000),
            guest(101, 8, 0, 1000),
            guest(102, 8, 6, 1000),
        ];
        // 600 MiB and what is not acted upon: idle memory is enough.
        let host = HostMemory {
            total: 40 * GIB,
            used: 32 * GIB + 600 * MIB,
            target_percent: 80,
        };
        assert_eq!(changes(host, &guests), [(100, -301), (102, -301)]);
        // All that idle memory gives in a round is not enough.
        let all = changes(self::host(99), &guests);
        assert_eq!(all, [(100, -410), (101, -410), (102, -410)]);
    }

    #[test]
    fn nobody_falls_below_his_floor() {
        let mut guests = vec![guest(100, 8, 0, 1000), guest(101, 2, 0, 1)];
        for _ in 0..200 {
            for (vmid, wanted) in targets(host(99), &guests) {
                let guest = guests.iter_mut().find(|guest| guest.vmid == vmid).unwrap();
                assert!(wanted < guest.actual);
                guest.actual = wanted;
            }
        }
        assert!(
            guests.iter().all(|guest| guest.actual == guest.floor),
            "{guests:?}"
        );
        assert!(targets(host(99), &guests).is_empty());
    }

    #[test]
    fn what_is_left_goes_by_shares() {
        let guests = [guest(100, 4, 0, 3000), guest(101, 4, 0, 1000)];
        let host = HostMemory {
            total: 20 * GIB,
            used: 16 * GIB - 400 * MIB,
            target_percent: 80,
        };
        assert_eq!(changes(host, &guests), [(100, 299), (101, 99)]);
        assert_eq!(divide(400, &[(1000, 3.0), (1000, 1.0)]), [300, 100]);
        assert_eq!(divide(400, &[(100, 3.0), (1000, 1.0)]), [100, 300]);
        assert_eq!(divide(5000, &[(100, 3.0), (1000, 1.0)]), [100, 1000]);
    }

    #[test]
    fn near_the_target_nothing_moves() {
        let guests = [guest(100, 4, 2, 1000)];
        assert!(targets(host(80), &guests).is_empty());
        assert_eq!(targets(host(70), &guests).len(), 1);
        assert_eq!(targets(host(90), &guests).len(), 1);
    }
}
