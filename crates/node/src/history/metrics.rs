//! All figures of the last half hour, for programs that collect metrics.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use model::{NodeName, UnixTime, VmId};
use proto::status::{GuestUsage, NodeUsage, StorageUsage};
use serde::{Deserialize, Serialize};
use serde_json::Number;

use MetricKind::{Derive, Gauge};

use super::guests::{Known, Present};
use super::moment::Moment;
use super::values::NodeState;

/// A generation is kept this often, in seconds, and so many of them.
const STEP_S: i64 = 10;
const KEPT: usize = 181;

/// Whether a value is a state, or counts up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MetricKind {
    Gauge,
    Derive,
}

/// One figure of one object.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metric {
    /// `node/x`, `qemu/100`, `storage/x/local`.
    pub id: String,
    pub metric: String,
    pub timestamp: UnixTime,
    #[serde(rename = "type")]
    pub kind: MetricKind,
    pub value: Number,
}

struct Guest {
    vmid: VmId,
    known: Known,
    /// None for a guest that does not run.
    running: Option<Running>,
}

struct Running {
    uptime_s: u64,
    cpus_busy: f64,
    memory: u64,
    disk_read: u64,
    disk_written: u64,
    net_in: u64,
    net_out: u64,
}

impl Running {
    fn of(usage: &GuestUsage, known: &Known, uptime_s: u64) -> Self {
        Self {
            uptime_s,
            cpus_busy: usage.cpus_busy,
            memory: usage.memory_used(known.memory),
            disk_read: usage.disk_read,
            disk_written: usage.disk_written,
            net_in: usage.net_in,
            net_out: usage.net_out,
        }
    }
}

/// Everything that was measured at one moment.
struct Generation {
    at: UnixTime,
    node: NodeUsage,
    state: NodeState,
    guests: Vec<Guest>,
    storages: Vec<StorageUsage>,
}

/// The generations of the last half hour, oldest first.
#[derive(Default)]
pub struct Recent(Mutex<VecDeque<Arc<Generation>>>);

impl Recent {
    fn generations(&self) -> MutexGuard<'_, VecDeque<Arc<Generation>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn add(
        &self,
        at: UnixTime,
        moment: &Moment<'_>,
        state: &NodeState,
        present: &Present,
        uptime_s: impl Fn(VmId) -> u64,
    ) {
        let mut generations = self.generations();
        let is_too_soon = |last: &Arc<Generation>| (0..STEP_S).contains(&(at - last.at));
        if generations.back().is_some_and(is_too_soon) {
            return;
        }
        let guests = present.iter().map(|(vmid, known)| {
            let running = moment.guests.binary_search_by_key(vmid, |usage| usage.vmid);
            let running = running.ok().map(|found| &moment.guests[found]);
            Guest {
                vmid: *vmid,
                known: *known,
                running: running.map(|usage| Running::of(usage, known, uptime_s(*vmid))),
            }
        });
        generations.push_back(Arc::new(Generation {
            at,
            node: moment.node.clone(),
            state: state.clone(),
            guests: guests.collect(),
            storages: moment.storages.to_vec(),
        }));
        if generations.len() > KEPT {
            generations.pop_front();
        }
    }

    /// The figures that are later than `since`: of the last moment, or of all that are kept.
    pub fn metrics(&self, node: &NodeName, all: bool, since: UnixTime) -> Vec<Metric> {
        let generations: Vec<Arc<Generation>> = {
            let generations = self.generations();
            let kept = if all { generations.len() } else { 1 };
            let last = generations.iter().rev().take(kept);
            last.filter(|generation| generation.at > since)
                .cloned()
                .collect()
        };
        let mut metrics = Vec::new();
        for generation in generations.iter().rev() {
            generation.write(node, &mut metrics);
        }
        metrics
    }
}

impl Generation {
    fn write(&self, node: &NodeName, metrics: &mut Vec<Metric>) {
        let mut put = |id: String, figures: Vec<Figure>| {
            metrics.extend(figures.into_iter().map(|(metric, kind, value)| Metric {
                id: id.clone(),
                metric: metric.to_owned(),
                timestamp: self.at,
                kind,
                value,
            }));
        };
        put(format!("node/{node}"), self.of_node());
        for guest in &self.guests {
            let kind = guest.known.kind.as_str();
            put(format!("{kind}/{}", guest.vmid), guest.figures());
        }
        for usage in &self.storages {
            let figures = [("disk_total", usage.total), ("disk_used", usage.used)];
            let figures = figures.map(|(metric, bytes)| (metric, Gauge, bytes.into()));
            put(format!("storage/{node}/{}", usage.storage), figures.into());
        }
    }

    fn of_node(&self) -> Vec<Figure> {
        let (usage, state) = (&self.node, &self.state);
        let memory = &state.memory;
        let swap_used = memory.swap_total.saturating_sub(memory.swap_free);
        vec![
            ("uptime", Gauge, usage.uptime_s.into()),
            ("net_in", Derive, state.traffic[0].into()),
            ("net_out", Derive, state.traffic[1].into()),
            ("cpu_avg1", Gauge, number(state.load[0])),
            ("cpu_avg5", Gauge, number(state.load[1])),
            ("cpu_avg15", Gauge, number(state.load[2])),
            ("cpu_max", Gauge, usage.cpus.into()),
            ("cpu_current", Gauge, number(usage.cpu)),
            ("cpu_iowait", Gauge, number(usage.wait)),
            ("mem_total", Gauge, usage.memory_total.into()),
            ("mem_used", Gauge, usage.memory.into()),
            ("swap_total", Gauge, memory.swap_total.into()),
            ("swap_used", Gauge, swap_used.into()),
            ("disk_total", Gauge, usage.disk_total.into()),
            ("disk_used", Gauge, usage.disk.into()),
        ]
    }
}

impl Guest {
    fn figures(&self) -> Vec<Figure> {
        let known = &self.known;
        let running = self.running.as_ref();
        let mut figures: Vec<Figure> = vec![
            (
                "uptime",
                Gauge,
                running.map_or(0, |running| running.uptime_s).into(),
            ),
            ("cpu_max", Gauge, known.cpus.into()),
            ("mem_total", Gauge, known.memory.into()),
            ("disk_total", Gauge, known.disk.into()),
        ];
        if let Some(running) = running {
            let share = running.cpus_busy / f64::from(known.cpus.max(1));
            figures.extend([
                ("cpu_current", Gauge, number(share)),
                ("mem_used", Gauge, running.memory.into()),
                ("disk_read", Derive, running.disk_read.into()),
                ("disk_write", Derive, running.disk_written.into()),
                ("net_in", Derive, running.net_in.into()),
                ("net_out", Derive, running.net_out.into()),
            ]);
        }
        figures
    }
}

type Figure = (&'static str, MetricKind, Number);

/// What is no number is nothing in use.
fn number(value: f64) -> Number {
    Number::from_f64(value).unwrap_or_else(|| 0.into())
}

#[cfg(test)]
mod tests {
    use history::Origin;
    use model::GuestKind;

    use super::*;

    #[test]
    fn generations_are_ten_seconds_apart_and_of_half_an_hour() {
        let recent = Recent::default();
        let vmid = VmId::new(100).unwrap();
        let known = Known {
            kind: GuestKind::Qemu,
            origin: Origin::default(),
            cpus: 2,
            memory: 1 << 30,
            disk: 0,
        };
        let container = Known {
            kind: GuestKind::Lxc,
            ..known
        };
        let present = Present::from([(vmid, known), (VmId::new(101).unwrap(), container)]);
        let running = [GuestUsage {
            running: true,
            cpus_busy: 1.0,
            net_in: 7,
            ..GuestUsage::stopped(vmid)
        }];
        let moment = Moment {
            node: &NodeUsage::default(),
            storages: &[],
            guests: &running,
            links: &[],
        };
        for at in (0..4000).step_by(5) {
            recent.add(at, &moment, &NodeState::default(), &present, |_| 60);
        }
        let node: NodeName = "pve1".parse().unwrap();
        let last = recent.metrics(&node, false, 0);
        assert!(last.iter().all(|metric| metric.timestamp == 3990));
        assert_eq!(last.len(), 15 + 10 + 4);
        let of = |id: &str, name: &str| {
            let found = last
                .iter()
                .find(|metric| metric.id == id && metric.metric == name);
            found.map(|metric| (metric.kind, metric.value.as_f64().unwrap()))
        };
        assert_eq!(of("qemu/100", "cpu_current"), Some((Gauge, 0.5)));
        assert_eq!(of("qemu/100", "uptime"), Some((Gauge, 60.0)));
        assert_eq!(of("qemu/100", "net_in"), Some((Derive, 7.0)));
        assert_eq!(of("lxc/101", "cpu_max"), Some((Gauge, 2.0)));
        assert_eq!(of("lxc/101", "net_in"), None);
        let all = recent.metrics(&node, true, 0);
        assert_eq!((all[0].timestamp, all.len()), (3990 - 1800, 181 * 29));
        assert_eq!(recent.metrics(&node, true, 3980).len(), 29);
        assert_eq!(recent.metrics(&node, false, 3990), []);
    }
}
