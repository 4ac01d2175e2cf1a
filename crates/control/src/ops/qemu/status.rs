//! `GET /nodes/{node}/qemu/{vmid}/status/current`

use model::qemu::Agent;
use model::{Error, GuestRecord, NodeName, VmId};
use proto::GuestFigures;
use proto::status::GuestUsage;
use proto::wire::Answer;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::ops::Op;

#[derive(Deserialize)]
struct Status {
    node: NodeName,
    vmid: VmId,
}

pub(super) async fn status(op: Op) -> Result<Answer, Error> {
    let Status { node, vmid } = op.params()?;
    op.context.check_node(&node)?;
    let world = &op.context.world;
    let guest = world.records.guest(vmid).await?.record.data;
    let usage = world.guest_usage(vmid).await?;
    let mut answer = of_record(&guest);
    answer.extend(of_usage(&guest, &usage));
    if usage.running
        && let Some(file) = world.running.run_file(vmid).await?
    {
        answer.insert("running-machine".into(), file.running_as.machine.into());
        answer.insert("running-qemu".into(), file.running_as.qemu.into());
    }
    Ok(Answer::new(answer))
}

/// What the record says.
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

/// What is observed.
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
    put("mem", usage.memory.min(figures.memory).into());
    put("memhost", usage.memory.into());
    put("disk", 0.into());
    put("diskread", usage.disk_read.into());
    put("diskwrite", usage.disk_written.into());
    put("netin", usage.net_in.into());
    put("netout", usage.net_out.into());
    if usage.running {
        put("pid", usage.pid.into());
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
