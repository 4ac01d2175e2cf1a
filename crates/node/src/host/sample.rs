//! Looks at all guests of the node again and again, and keeps the status board.
//!
//! Two loops, because one must never wait for the other: a *look* finds out who runs, which is
//! cheap and done at once on a nudge; a *measurement* reads counters and asks every
//! QEMU, of which one may hang.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use guest::qemu::Qmp;
use model::{Error, VmId, with_timeout};
use proto::status::{Balloon, GuestUsage, NicUsage, NodeUsage, StorageTrouble, StorageUsage};
use storage::Storage;
use sys::{Link, ScopeName, SpaceUsage};
use tokio::task::JoinSet;
use tracing::warn;

use crate::NodeContext;
use crate::history::Moment;
use crate::host::facts::{CpuTimes, Facts, TICKS_PER_S};
use crate::host::status::Seen;
use crate::qemu::ballooning;
use crate::qemu::monitors::PATIENCE;

/// How often guests are looked at and measured.
const SAMPLE: Duration = Duration::from_secs(5);

/// How many guests are asked at the same time.
const AT_ONCE: usize = 8;

/// Samples for as long as the agent lives. Never returns.
pub async fn sample(node: &Arc<NodeContext>) {
    tokio::join!(look_again(node), measure_again(node));
}

async fn look_again(node: &Arc<NodeContext>) {
    loop {
        if let Err(error) = look(node).await {
            warn!(%error, "guests cannot be looked at");
        }
        tokio::select! {
            () = node.clock.sleep(SAMPLE) => {}
            () = node.status.nudged() => {}
        }
    }
}

async fn measure_again(node: &Arc<NodeContext>) {
    let mut meter = Meter::default();
    loop {
        if let Err(error) = meter.measure(node).await {
            warn!(%error, "guests cannot be measured");
        }
        node.clock.sleep(SAMPLE).await;
    }
}

/// Finds out which guests run.
async fn look(node: &NodeContext) -> Result<(), Error> {
    let boot_uptime = Facts::new(node.host.clone()).uptime().await;
    let mut running = Vec::new();
    for scope in node.host.scopes().await? {
        let Some(vmid) = scope.vmid() else { continue };
        if let Some(process) = node.running.main_process(vmid).await? {
            let started_s = process.start_time as f64 / TICKS_PER_S as f64;
            let uptime = Duration::try_from_secs_f64(boot_uptime - started_s).unwrap_or_default();
            running.push(Seen {
                vmid,
                pid: process.pid,
                uptime,
            });
        }
    }
    node.status.saw(&running);
    Ok(())
}

/// What must be remembered from one measurement to the next.
#[derive(Default)]
struct Meter {
    cpu: CpuTimes,
    /// Per guest: its process, processor time used, and when that was read.
    guests: BTreeMap<VmId, (u32, u64, Duration)>,
}

impl Meter {
    async fn measure(&mut self, node: &Arc<NodeContext>) -> Result<(), Error> {
        let usage = self.measure_node(node).await?;
        let storages = measure_storages(node).await?;
        node.status.measured_node(usage.clone(), storages.clone());
        let links = Arc::new(node.host.links().await?);
        let mut usages = measure_guests(node, &links).await?;
        let before = std::mem::take(&mut self.guests);
        for (usage, cpu_us, at) in &mut usages {
            if let Some((_, used, then)) = before.get(&usage.vmid).filter(|b| b.0 == usage.pid) {
                usage.cpus_busy = rate(cpu_us.saturating_sub(*used), at.saturating_sub(*then));
            }
            self.guests.insert(usage.vmid, (usage.pid, *cpu_us, *at));
        }
        let mut usages: Vec<GuestUsage> = usages.into_iter().map(|(usage, ..)| usage).collect();
        usages.sort_by_key(|usage| usage.vmid);
        ballooning::balance(node, &usage, &usages).await;
        let moment = Moment {
            node: &usage,
            storages: &storages,
            guests: &usages,
            links: &links,
        };
        node.record(&moment).await;
        node.status.measured(usages);
        Ok(())
    }

    async fn measure_node(&mut self, node: &NodeContext) -> Result<NodeUsage, Error> {
        let facts = Facts::new(node.host.clone());
        let times = facts.cpu_times().await;
        let (cpu, wait) = times.since(std::mem::replace(&mut self.cpu, times));
        let memory = facts.memory().await;
        let root = node.host.space(node.paths.root()).await?;
        Ok(NodeUsage {
            cpu,
            wait,
            cpus: facts.processors().await.cpus,
            memory: memory.used(),
            memory_total: memory.total,
            disk: root.used,
            disk_total: root.total,
            uptime_s: facts.uptime().await as u64,
            cgroup: facts.cgroup_version().await?,
        })
    }
}

/// Processors kept busy by `cpu_us` within `elapsed`, to four digits: more would only make
/// every sample differ from the one before.
fn rate(cpu_us: u64, elapsed: Duration) -> f64 {
    let elapsed_us = elapsed.as_micros() as f64;
    if elapsed_us < 1.0 {
        return 0.0;
    }
    (cpu_us as f64 / elapsed_us * 10_000.0).round() / 10_000.0
}

/// All at the same time: one that does not answer delays no other.
async fn measure_storages(node: &NodeContext) -> Result<Vec<StorageUsage>, Error> {
    let storages = node.storages().await?;
    let measured = storages.iter().map(|storage| async {
        let usage = with_timeout(&*node.clock, PATIENCE, measure_storage(&**storage)).await;
        usage.flatten().unwrap_or_else(|| StorageUsage {
            storage: storage.config().id().clone(),
            active: false,
            used: 0,
            total: 0,
            unreachable_since: None,
            troubles: Vec::new(),
        })
    });
    Ok(join_all(measured).await)
}

/// None where it does not answer. One that is not usable yet, or no more, is made usable.
async fn measure_storage(storage: &dyn Storage) -> Option<StorageUsage> {
    let space = match storage.status().await {
        Ok(space) => space,
        Err(_) => {
            storage.activate().await.ok()?;
            storage.status().await.ok()?
        }
    };
    let troubles = storage.troubles().await.ok()?.into_iter();
    let troubles = troubles.map(|trouble| StorageTrouble {
        kind: trouble.kind.to_owned(),
        text: trouble.text,
        advice: trouble.advice.to_owned(),
    });
    Some(StorageUsage {
        storage: storage.config().id().clone(),
        active: true,
        used: space.used,
        total: space.total,
        unreachable_since: None,
        troubles: troubles.collect(),
    })
}

/// The figures of all running guests, each with its processor time and when that was read.
async fn measure_guests(
    node: &Arc<NodeContext>,
    links: &Arc<Vec<Link>>,
) -> Result<Vec<(GuestUsage, u64, Duration)>, Error> {
    let mut scopes = node.host.scopes().await?.into_iter();
    let (mut asked, mut usages) = (JoinSet::new(), Vec::new());
    loop {
        while asked.len() < AT_ONCE
            && let Some(scope) = scopes.next()
        {
            let Some(vmid) = scope.vmid() else { continue };
            let (node, links) = (Arc::clone(node), Arc::clone(links));
            asked.spawn(async move { measure_guest(&node, vmid, &links).await });
        }
        match asked.join_next().await {
            None => return Ok(usages),
            Some(Ok(Ok(usage))) => usages.extend(usage),
            Some(Ok(Err(error))) => warn!(%error, "a guest cannot be measured"),
            Some(Err(error)) => warn!(%error, "a measurement was cut off"),
        }
    }
}

async fn measure_guest(
    node: &NodeContext,
    vmid: VmId,
    links: &[Link],
) -> Result<Option<(GuestUsage, u64, Duration)>, Error> {
    let Some(process) = node.running.main_process(vmid).await? else {
        return Ok(None);
    };
    let pid = process.pid;
    let used = node.host.usage(&ScopeName::guest(vmid)).await?;
    let at = node.clock.monotonic();
    if node.running.container_file(vmid).await?.is_some() {
        let nics = nics(&format!("veth{vmid}i"), links);
        let usage = GuestUsage {
            running: true,
            pid,
            memory: used.memory_bytes.saturating_sub(used.cache_bytes),
            disk_read: used.read_bytes,
            disk_written: used.written_bytes,
            net_in: nics.iter().map(|nic| nic.net_in).sum(),
            net_out: nics.iter().map(|nic| nic.net_out).sum(),
            pressure: used.pressure,
            cpus: Facts::new(node.host.clone()).processors().await.cpus,
            swap: used.swap_bytes,
            nics,
            ..GuestUsage::stopped(vmid)
        };
        return Ok(Some((usage, used.cpu_us, at)));
    }
    let nics = nics(&format!("tap{vmid}i"), links);
    let asked = with_timeout(&*node.clock, PATIENCE, async {
        let qmp = node.running.qmp(vmid).await.ok()?;
        let status = qmp.status().await.ok()?;
        let disks = qmp.disk_usage().await.unwrap_or_default();
        let balloon = balloon(node, vmid, &qmp).await;
        Some((status.state, disks, balloon))
    });
    let (qmp_status, disks, balloon) = match asked.await.flatten() {
        Some((state, disks, balloon)) => (Some(state), disks, balloon),
        // A QEMU that does not answer now has not read less than before.
        None => {
            let before = node.status.guest(vmid).filter(|before| before.pid == pid);
            let (read, written) = before.map_or((0, 0), |b| (b.disk_read, b.disk_written));
            (None, guest::qemu::DiskUsage { read, written }, None)
        }
    };
    let usage = GuestUsage {
        running: true,
        pid,
        memory: used.memory_bytes,
        disk_read: disks.read,
        disk_written: disks.written,
        net_in: nics.iter().map(|nic| nic.net_in).sum(),
        net_out: nics.iter().map(|nic| nic.net_out).sum(),
        qmp_status,
        pressure: used.pressure,
        balloon,
        nics,
        ..GuestUsage::stopped(vmid)
    };
    Ok(Some((usage, used.cpu_us, at)))
}

/// The guest's memory by its own account; none without a balloon.
async fn balloon(node: &NodeContext, vmid: VmId, qmp: &Qmp) -> Option<Balloon> {
    let actual = qmp.balloon().await.ok()??;
    let told = qmp.memory_statistics().await.ok()??;
    let file = node.running.run_file(vmid).await.ok()??;
    Some(Balloon {
        actual,
        max: file.running_as.total_memory_mib() << 20,
        last_update: told.last_update,
        total: told.total,
        free: told.free,
        major_faults: told.major_faults,
        minor_faults: told.minor_faults,
        swapped_in: told.swapped_in,
        swapped_out: told.swapped_out,
    })
}

/// The network cards of a guest, whose ends at the host are called so. What the host receives there,
/// the guest has sent.
fn nics(prefix: &str, links: &[Link]) -> Vec<NicUsage> {
    let taps = links.iter().filter(|link| link.name.starts_with(prefix));
    taps.map(|link| NicUsage {
        link: link.name.clone(),
        net_in: link.sent,
        net_out: link.received,
    })
    .collect()
}

impl NodeContext {
    /// What a guest uses now; its processor time is that of the last sample.
    pub async fn guest_usage(&self, vmid: VmId) -> Result<GuestUsage, Error> {
        let links = self.host.links().await?;
        let Some((mut usage, ..)) = measure_guest(self, vmid, &links).await? else {
            return Ok(GuestUsage::stopped(vmid));
        };
        match self
            .status
            .guest(vmid)
            .filter(|known| known.pid == usage.pid)
        {
            Some(known) => {
                usage.cpus_busy = known.cpus_busy;
                usage.uptime_s = known.uptime_s;
            }
            // Started since the last look: that was a moment ago.
            None => self.status.nudge(),
        }
        Ok(usage)
    }
}

/// What a container uses now.
pub struct ContainerUsage {
    pub usage: GuestUsage,
    /// Of its root; empty while it does not run.
    pub disk: SpaceUsage,
    pub host_cpus: u32,
}

impl NodeContext {
    pub async fn container_usage(&self, vmid: VmId) -> Result<ContainerUsage, Error> {
        let usage = self.guest_usage(vmid).await?;
        let mut disk = SpaceUsage::default();
        if usage.running {
            let root = format!("/proc/{}/root", usage.pid);
            disk = self.host.space(root.as_ref()).await.unwrap_or_default();
        }
        let host_cpus = Facts::new(self.host.clone()).processors().await.cpus;
        Ok(ContainerUsage {
            usage,
            disk,
            host_cpus,
        })
    }
}

#[cfg(test)]
mod tests {
    use sys::LinkKind;

    use super::*;

    fn link(name: &str, received: u64, sent: u64) -> Link {
        Link {
            name: name.to_owned(),
            kind: LinkKind::Tap,
            up: true,
            mtu: 1500,
            master: None,
            received,
            sent,
        }
    }

    #[test]
    fn a_guest_receives_what_its_tap_sends() {
        let links = [
            link("tap100i0", 1, 2),
            link("tap100i1", 10, 20),
            link("tap1001i0", 5, 5),
        ];
        let nics = nics("tap100i", &links);
        let figures: Vec<(u64, u64)> = nics.iter().map(|nic| (nic.net_in, nic.net_out)).collect();
        assert_eq!(figures, [(2, 1), (20, 10)]);
    }

    #[test]
    fn a_rate_is_in_processors() {
        assert_eq!(rate(7_500_000, Duration::from_secs(5)), 1.5);
        assert_eq!(rate(1, Duration::ZERO), 0.0);
    }
}
