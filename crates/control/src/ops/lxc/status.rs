//! `GET /nodes/{node}/lxc/{vmid}/status/current`

use model::{Error, GuestRecord, Pressure};
use proto::GuestFigures;
use proto::wire::Answer;
use serde_json::{Map, Value, json};

use super::Container;
use crate::ops::Op;

pub(super) async fn status(op: Op) -> Result<Answer, Error> {
    let vmid = Container::of(&op)?.vmid;
    let node = &op.context.node;
    let guest = node.records.local().lxc(vmid).await?.record.data;
    let seen = node.container_usage(vmid).await?;
    let figures = GuestFigures::of(&guest);
    let cpus = match figures.cpus {
        0 => seen.host_cpus,
        cpus => cpus,
    };
    let mut answer = of_record(&guest, &figures);
    let usage = &seen.usage;
    let status = if usage.running { "running" } else { "stopped" };
    let mut put = |name: &str, value: Value| answer.insert(name.to_owned(), value);
    put("status", status.into());
    put("cpus", cpus.into());
    put("cpu", (usage.cpus_busy / f64::from(cpus.max(1))).into());
    put("uptime", usage.uptime_s.into());
    put("mem", usage.memory_used(figures.memory).into());
    put("swap", usage.swap.into());
    put("disk", seen.disk.used.into());
    if seen.disk.total > 0 {
        put("maxdisk", seen.disk.total.into());
    }
    put("netin", usage.net_in.into());
    put("netout", usage.net_out.into());
    put("diskread", usage.disk_read.into());
    put("diskwrite", usage.disk_written.into());
    if usage.running {
        put("pid", usage.pid.into());
        for (name, figure) in usage.pressure.iter().flat_map(Pressure::figures) {
            put(name, figure.into());
        }
    }
    Ok(Answer::new(answer))
}

/// The fields from the record.
fn of_record(guest: &GuestRecord, figures: &GuestFigures) -> Map<String, Value> {
    let mut answer = Map::new();
    let mut put = |name: &str, value: Value| answer.insert(name.to_owned(), value);
    put("vmid", guest.vmid.get().into());
    put("type", "lxc".into());
    put("name", figures.name.as_str().into());
    put("maxmem", figures.memory.into());
    put("maxswap", figures.swap.into());
    put("maxdisk", figures.disk.into());
    put("ha", json!({"managed": 0}));
    if let Some(tags) = &figures.tags {
        put("tags", tags.as_str().into());
    }
    if let Some(lock) = &figures.lock {
        put("lock", lock.as_str().into());
    }
    if figures.template {
        put("template", 1.into());
    }
    answer
}
