//! `GET /nodes/{node}/qemu/{vmid}/status/current`

use guest::qemu::VmConfig;
use model::{Error, NodeName, VmId};
use node::RunState;
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
    let guest = op.context.world.records.guest(vmid).await?.record.data;
    let config = VmConfig::parse(&guest.config).map_err(Error::invalid_fields)?;
    let observed = op.context.world.running.status(vmid).await?;
    let mut answer = Map::new();
    let mut put = |name: &str, value: Value| answer.insert(name.to_owned(), value);
    put("vmid", vmid.get().into());
    put(
        "name",
        config
            .name
            .clone()
            .unwrap_or_else(|| format!("VM {vmid}"))
            .into(),
    );
    put(
        "cpus",
        config.vcpus.unwrap_or(config.sockets * config.cores).into(),
    );
    put("maxmem", (config.memory_mib << 20).into());
    put("ha", json!({"managed": 0}));
    put(
        "qmpstatus",
        observed
            .qmp_status
            .unwrap_or_else(|| "stopped".to_owned())
            .into(),
    );
    let is_running = observed.state == RunState::Running;
    put(
        "status",
        if is_running { "running" } else { "stopped" }.into(),
    );
    if let Some(pid) = observed.pid {
        put("pid", pid.into());
    }
    if config.agent.enabled {
        put("agent", 1.into());
    }
    if let Some(tags) = guest.config.text("tags") {
        put("tags", tags.into());
    }
    let lock = guest
        .busy
        .map(|busy| busy.shown_as)
        .filter(|shown| !shown.is_empty());
    if let Some(lock) = lock.or_else(|| guest.config.text("lock")) {
        put("lock", lock.into());
    }
    Ok(Answer::new(answer))
}
