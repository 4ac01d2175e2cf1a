//! Commands on one machine without an operation: its consoles, waiting.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use model::VmId;
use model::schema::{Field, Values};
use proto::Verb;
use serde_json::Value;

use super::super::agent::{Agent, values};
use super::super::terminal;
use super::{VMID, monitor};

const STATUS: &str = "/nodes/{node}/qemu/{vmid}/status/current";

/// How often `qm wait` polls.
const LOOK_MS: u64 = 500;

pub(super) const TERMINAL: &[Field] = &[
    VMID,
    Field::string("iface")
        .optional()
        .one_of(&["serial0", "serial1", "serial2", "serial3"]),
    Field::string("escape")
        .optional()
        .pattern(r"\^[\x40-\x5f]|0x[0-9a-fA-F]{1,2}")
        .default("^O"),
];

pub(super) fn vmid_of(given: &Values) -> Result<VmId> {
    serde_json::from_value(given["vmid"].clone()).context("reading the VM ID")
}

pub(super) async fn monitor(agent: Agent, given: Values) -> Result<()> {
    monitor::run(&agent, vmid_of(&given)?).await
}

pub(super) async fn terminal(agent: Agent, given: Values) -> Result<()> {
    let text = |name: &str| given.get(name).and_then(Value::as_str);
    terminal::run(&agent, vmid_of(&given)?, text("iface"), text("escape")).await
}

/// A guest's current status.
pub(super) async fn status(agent: &Agent, vmid: VmId) -> Result<Value> {
    let params = values([("vmid", vmid.get().into())]);
    Ok(agent.at(Verb::Get, STATUS, params).await?.data)
}

pub(super) async fn wait(agent: Agent, given: Values) -> Result<()> {
    let vmid = vmid_of(&given)?;
    let timeout = given.get("timeout").and_then(Value::as_u64);
    let deadline = timeout.map(|timeout| agent.clock.monotonic() + Duration::from_secs(timeout));
    while status(&agent, vmid).await?["status"] != "stopped" {
        if deadline.is_some_and(|deadline| agent.clock.monotonic() >= deadline) {
            bail!("VM {vmid} still runs - got timeout");
        }
        agent.clock.sleep(Duration::from_millis(LOOK_MS)).await;
    }
    Ok(())
}
