//! What was measured, in the columns of the history.

use std::path::PathBuf;

use ::history::Kind;
use model::{Pressure, Stall};
use proto::status::{GuestUsage, NodeUsage, StorageUsage};
use sys::{Link, LinkKind, SharedHost};

use super::guests::Known;
use super::rates::Traffic;
use crate::host::facts::{Facts, Memory};

/// What the history has of a node, and lists do not show.
#[derive(Debug, Clone, Default)]
pub(super) struct NodeState {
    pub(super) memory: Memory,
    /// The averages of 1, 5 and 15 minutes.
    pub(super) load: [f64; 3],
    pub(super) pressure: Pressure,
    /// Memory that ZFS uses as a cache, in bytes.
    pub(super) arc: u64,
    /// Bytes that the cards of the machine have received and sent.
    pub(super) traffic: [u64; 2],
}

impl NodeState {
    pub(super) async fn read(host: &SharedHost, links: &[Link]) -> Self {
        let facts = Facts::new(host.clone());
        let stall = async |name| {
            let text = facts.text(&format!("/proc/pressure/{name}")).await;
            Stall::parse(&text).unwrap_or_default()
        };
        let arc = facts.text("/proc/spl/kstat/zfs/arcstats").await;
        Self {
            memory: facts.memory().await,
            load: facts.load().await.map(|load| load.parse().unwrap_or(0.0)),
            pressure: Pressure {
                cpu: stall("cpu").await,
                io: stall("io").await,
                memory: stall("memory").await,
            },
            arc: arc_size(&arc),
            traffic: traffic(host, links).await,
        }
    }
}

/// The size in ZFS's table of names, types and values; 0 without ZFS.
fn arc_size(table: &str) -> u64 {
    let size = table.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        (words.next() == Some("size")).then(|| words.nth(1)?.parse().ok())?
    });
    size.unwrap_or(0)
}

/// A card is what has a device: bridges, taps and the like count its bytes again.
async fn traffic(host: &SharedHost, links: &[Link]) -> [u64; 2] {
    let mut sum = [0, 0];
    for link in links.iter().filter(|link| link.kind == LinkKind::Other) {
        let device = PathBuf::from(format!("/sys/class/net/{}/device", link.name));
        if host.stat(&device).await.is_ok_and(|found| found.is_some()) {
            sum[0] += link.received;
            sum[1] += link.sent;
        }
    }
    sum
}

/// One value a column; NaN where `value` has none.
fn row(kind: Kind, value: impl Fn(&str) -> Option<f64>) -> Vec<f32> {
    let columns = kind.columns().iter();
    columns
        .map(|column| value(column).map_or(f32::NAN, |value| value as f32))
        .collect()
}

fn pressure(pressure: &Pressure, column: &str) -> Option<f64> {
    let figures = pressure.figures();
    let found = figures.iter().find(|(name, _)| *name == column);
    found.map(|(_, figure)| *figure)
}

pub(super) fn of_node(usage: &NodeUsage, state: &NodeState, traffic: &Traffic) -> Vec<f32> {
    let memory = &state.memory;
    let measured = |share: f64| traffic.is_continued.then_some(share);
    row(Kind::Node, |column| match column {
        "cpu" => measured(usage.cpu),
        "maxcpu" => Some(usage.cpus.into()),
        "iowait" => measured(usage.wait),
        "loadavg" => Some(state.load[0]),
        "memtotal" => Some(usage.memory_total as f64),
        "memused" => Some(usage.memory as f64),
        "memavailable" => Some(memory.available as f64),
        "arcsize" => Some(state.arc as f64),
        "swaptotal" => Some(memory.swap_total as f64),
        "swapused" => Some(memory.swap_total.saturating_sub(memory.swap_free) as f64),
        "roottotal" => Some(usage.disk_total as f64),
        "rootused" => Some(usage.disk as f64),
        "netin" => traffic.net_in,
        "netout" => traffic.net_out,
        column => pressure(&state.pressure, column),
    })
}

/// Of a guest that does not run, only its limits are known.
pub(super) fn of_guest(known: &Known, running: Option<&(&GuestUsage, Traffic)>) -> Vec<f32> {
    row(Kind::Guest, |column| match column {
        "maxcpu" => Some(known.cpus.into()),
        "maxmem" => Some(known.memory as f64),
        "maxdisk" => Some(known.disk as f64),
        // What a guest uses of its disks is not known from outside.
        "disk" => Some(0.0),
        column => {
            let (usage, traffic) = running?;
            match column {
                "cpu" => traffic
                    .is_continued
                    .then(|| usage.cpus_busy / f64::from(known.cpus.max(1))),
                "mem" => Some(usage.memory_used(known.memory) as f64),
                "memhost" => Some(usage.memory as f64),
                "netin" => traffic.net_in,
                "netout" => traffic.net_out,
                "diskread" => traffic.disk_read,
                "diskwrite" => traffic.disk_written,
                column => pressure(usage.pressure.as_ref()?, column),
            }
        }
    })
}

pub(super) fn of_storage(usage: &StorageUsage) -> Vec<f32> {
    row(Kind::Storage, |column| match column {
        "total" => Some(usage.total as f64),
        "used" => Some(usage.used as f64),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use history::Origin;
    use model::{GuestKind, VmId};

    use super::*;

    const KNOWN: Known = Known {
        kind: GuestKind::Qemu,
        origin: Origin {
            created: 1,
            epoch: 1,
        },
        cpus: 2,
        memory: 1 << 30,
        disk: 1 << 32,
    };

    fn value(kind: Kind, values: &[f32], column: &str) -> f32 {
        values[kind.column(column).unwrap()]
    }

    #[test]
    fn a_stopped_guest_has_its_limits_alone() {
        let values = of_guest(&KNOWN, None);
        let known: Vec<&str> = std::iter::zip(Kind::Guest.columns(), &values)
            .filter(|(_, value)| !value.is_nan())
            .map(|(column, _)| *column)
            .collect();
        assert_eq!(known, ["maxcpu", "maxmem", "disk", "maxdisk"]);
    }

    #[test]
    fn a_running_guest_fills_every_column() {
        let usage = GuestUsage {
            running: true,
            cpus_busy: 1.5,
            memory: 2 << 30,
            pressure: Some(Pressure::default()),
            ..GuestUsage::stopped(VmId::new(100).unwrap())
        };
        let traffic = Traffic {
            net_in: Some(1.0),
            net_out: Some(2.0),
            disk_read: Some(3.0),
            disk_written: Some(4.0),
            is_continued: true,
        };
        let values = of_guest(&KNOWN, Some(&(&usage, traffic)));
        assert!(values.iter().all(|value| !value.is_nan()), "{values:?}");
        let of = |column| value(Kind::Guest, &values, column);
        assert_eq!(
            (of("cpu"), of("mem"), of("memhost")),
            (0.75, (1 << 30) as f32, (2u64 << 30) as f32)
        );
        assert_eq!((of("diskread"), of("diskwrite")), (3.0, 4.0));
        let first = of_guest(&KNOWN, Some(&(&usage, Traffic::default())));
        assert!(value(Kind::Guest, &first, "cpu").is_nan());
    }

    #[test]
    fn a_node_and_a_storage_fill_every_column() {
        let traffic = Traffic {
            net_in: Some(1.0),
            net_out: Some(1.0),
            is_continued: true,
            ..Traffic::default()
        };
        let values = of_node(&NodeUsage::default(), &NodeState::default(), &traffic);
        assert!(values.iter().all(|value| !value.is_nan()), "{values:?}");
        let usage = StorageUsage {
            unreachable_since: None,
            troubles: Vec::new(),
            storage: "local".parse().unwrap(),
            active: true,
            used: 1,
            total: 2,
        };
        assert_eq!(of_storage(&usage), [2.0, 1.0]);
    }

    #[test]
    fn the_cache_of_zfs_is_found_in_its_table() {
        let table = "9 1 0x01 1\nname type data\nhits 4 7\nsize 4 123456\nc_max 4 9";
        assert_eq!(arc_size(table), 123_456);
        assert_eq!(arc_size(""), 0);
    }
}
