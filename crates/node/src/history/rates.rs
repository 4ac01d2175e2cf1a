//! Counters, and what they grow by in a second.

use std::collections::BTreeMap;
use std::time::Duration;

use model::VmId;
use proto::status::GuestUsage;

/// What happened in a longer time is no rate of any minute.
const LONGEST: Duration = Duration::from_secs(120);

/// Values of counters at one moment.
#[derive(Debug, Clone, Copy)]
struct Reading<const N: usize> {
    at: Duration,
    counters: [u64; N],
}

impl<const N: usize> Reading<N> {
    /// What each counter grew by in a second; none for one that went back.
    fn since(&self, before: &Self) -> [Option<f64>; N] {
        let elapsed = self.at.saturating_sub(before.at);
        let is_rate = !elapsed.is_zero() && elapsed <= LONGEST;
        std::array::from_fn(|counter| {
            let grown = self.counters[counter].checked_sub(before.counters[counter])?;
            is_rate.then(|| grown as f64 / elapsed.as_secs_f64())
        })
    }
}

/// Bytes a second; none where there was no earlier reading.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Traffic {
    pub(super) net_in: Option<f64>,
    pub(super) net_out: Option<f64>,
    pub(super) disk_read: Option<f64>,
    pub(super) disk_written: Option<f64>,
    /// There was an earlier reading of the same process, so that its use of processors is known.
    pub(super) is_continued: bool,
}

/// The last readings of a node and its guests.
#[derive(Debug, Default)]
pub(super) struct Rates {
    node: Option<Reading<2>>,
    guests: BTreeMap<VmId, (u32, Reading<4>)>,
}

impl Rates {
    /// Takes the bytes that the node has received and sent.
    pub(super) fn of_node(&mut self, at: Duration, counters: [u64; 2]) -> Traffic {
        let reading = Reading { at, counters };
        let before = self.node.replace(reading);
        let [net_in, net_out] = before.map_or([None; 2], |before| reading.since(&before));
        Traffic {
            net_in,
            net_out,
            is_continued: before.is_some(),
            ..Traffic::default()
        }
    }

    /// Takes the counters of a guest, which begin again with each of its processes.
    pub(super) fn of_guest(&mut self, at: Duration, usage: &GuestUsage) -> Traffic {
        let counters = [
            usage.net_in,
            usage.net_out,
            usage.disk_read,
            usage.disk_written,
        ];
        let reading = Reading { at, counters };
        let before = self.guests.insert(usage.vmid, (usage.pid, reading));
        let before = before.filter(|(pid, _)| *pid == usage.pid);
        let rates = before.map_or([None; 4], |(_, before)| reading.since(&before));
        let [net_in, net_out, disk_read, disk_written] = rates;
        Traffic {
            net_in,
            net_out,
            disk_read,
            disk_written,
            is_continued: before.is_some(),
        }
    }

    /// Forgets guests that do not run any more.
    pub(super) fn retain(&mut self, running: &[GuestUsage]) {
        self.guests.retain(|vmid, _| {
            let found = running.binary_search_by_key(vmid, |usage| usage.vmid);
            found.is_ok()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(pid: u32, net_in: u64) -> GuestUsage {
        GuestUsage {
            pid,
            net_in,
            running: true,
            ..GuestUsage::stopped(VmId::new(100).unwrap())
        }
    }

    #[test]
    fn a_rate_needs_two_readings_of_one_process() {
        let mut rates = Rates::default();
        let at = Duration::from_secs;
        assert_eq!(rates.of_guest(at(0), &usage(7, 1000)), Traffic::default());
        let second = rates.of_guest(at(5), &usage(7, 2000));
        assert_eq!((second.net_in, second.net_out), (Some(200.0), Some(0.0)));
        assert!(second.is_continued);
        // Another process counts anew, and so does a card that was replaced.
        assert_eq!(rates.of_guest(at(10), &usage(8, 5000)), Traffic::default());
        assert_eq!(rates.of_guest(at(15), &usage(8, 10)).net_in, None);
        // Nothing was measured for too long.
        assert_eq!(rates.of_guest(at(900), &usage(8, 20)).net_in, None);
        rates.retain(&[]);
        assert_eq!(rates.of_guest(at(905), &usage(8, 30)), Traffic::default());
    }

    #[test]
    fn a_node_counts_what_its_cards_carry() {
        let mut rates = Rates::default();
        rates.of_node(Duration::from_secs(1), [10, 20]);
        let traffic = rates.of_node(Duration::from_secs(3), [30, 20]);
        assert_eq!((traffic.net_in, traffic.net_out), (Some(10.0), Some(0.0)));
    }
}
