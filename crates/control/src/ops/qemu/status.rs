//! `GET /nodes/{node}/qemu/{vmid}/status/current`

use model::qemu::Agent;
use model::{Error, GuestRecord, Pressure, VmId};
use proto::GuestFigures;
use proto::status::{Balloon, GuestUsage};
use proto::wire::Answer;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::ops::Op;

#[derive(Deserialize)]
struct Status {
    vmid: VmId,
}

pub(super) async fn status(op: Op) -> Result<Answer, Error> {
    let Status { vmid } = op.params()?;
    let node = &op.context.node;
    let guest = node.records.local().qemu(vmid).await?.record.data;
    let usage = node.guest_usage(vmid).await?;
    let mut answer = of_record(&guest);
    answer.extend(of_usage(&guest, &usage));
    if usage.running
        && let Some(file) = node.running.run_file(vmid).await?
    {
        answer.insert("running-machine".into(), file.running_as.machine.into());
        answer.insert("running-qemu".into(), file.running_as.qemu.into());
    }
    Ok(Answer::new(answer))
}

/// The fields from the record.
fn of_record(guest: &GuestRecord) -> Map<String, Value> {
    let figures = GuestFigures::of(guest);
    let mut answer = Map::new();
    let mut put = |name: &str, value: Value| answer.insert(name.to_owned(), value);
    put("vmid", guest.vmid.get().into());
    put("name", figures.name.into());
    put("cpus", figures.cpus.into());
    put("maxmem", figures.memory.into());
    put("maxdisk", figures.disk.into());
    put("ha", json!({"managed": 0}));
    let agent = guest
        .config
        .text("agent")
        .and_then(|text| Agent::parse(&text).ok());
    if agent.is_some_and(|agent| agent.enabled) {
        put("agent", 1.into());
    }
    if let Some(tags) = figures.tags {
        put("tags", tags.into());
    }
    if let Some(lock) = figures.lock {
        put("lock", lock.into());
    }
    if figures.template {
        put("template", 1.into());
    }
    if figures.serial {
        put("serial", 1.into());
    }
    answer
}

/// The observed fields.
fn of_usage(guest: &GuestRecord, usage: &GuestUsage) -> Map<String, Value> {
    let figures = GuestFigures::of(guest);
    let status = if usage.running { "running" } else { "stopped" };
    let mut answer = Map::new();
    let mut put = |name: &str, value: Value| answer.insert(name.to_owned(), value);
    put("status", status.into());
    put(
        "qmpstatus",
        usage.qmp_status.as_deref().unwrap_or(status).into(),
    );
    put("uptime", usage.uptime_s.into());
    put(
        "cpu",
        (usage.cpus_busy / f64::from(figures.cpus.max(1))).into(),
    );
    put("mem", usage.memory_used(figures.memory).into());
    put("memhost", usage.memory.into());
    put("disk", 0.into());
    put("netin", usage.net_in.into());
    put("netout", usage.net_out.into());
    if let Some(balloon) = &usage.balloon {
        put("balloon", balloon.actual.into());
        put("ballooninfo", balloon_info(balloon));
        if let Some(free) = balloon.free {
            put("freemem", free.into());
        }
    }
    if usage.running {
        put("pid", usage.pid.into());
        put("diskread", usage.disk_read.into());
        put("diskwrite", usage.disk_written.into());
        for (name, figure) in usage.pressure.iter().flat_map(Pressure::figures) {
            put(name, figure.into());
        }
        let nics = usage.nics.iter().map(|nic| {
            (
                nic.link.clone(),
                json!({"netin": nic.net_in, "netout": nic.net_out}),
            )
        });
        put("nics", nics.collect::<Map<String, Value>>().into());
    }
    answer
}

/// The guest's memory figures under Proxmox VE's names.
fn balloon_info(balloon: &Balloon) -> Value {
    let mut info = Map::new();
    info.insert("actual".to_owned(), balloon.actual.into());
    info.insert("max_mem".to_owned(), balloon.max.into());
    info.insert("last_update".to_owned(), balloon.last_update.into());
    let told = [
        ("total_mem", balloon.total),
        ("free_mem", balloon.free),
        ("major_page_faults", balloon.major_faults),
        ("minor_page_faults", balloon.minor_faults),
        ("mem_swapped_in", balloon.swapped_in),
        ("mem_swapped_out", balloon.swapped_out),
    ];
    for (name, figure) in told {
        if let Some(figure) = figure {
            info.insert(name.to_owned(), figure.into());
        }
    }
    info.into()
}
