//! Commands about one machine that are no operation: its consoles, its command line, waiting.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use model::schema::{Field, Values};
use model::{Error, ErrorKind, VmId};
use proto::Verb;
use serde_json::Value;

use super::super::agent::{Agent, values};
use super::super::{output, terminal};
use super::{VMID, monitor, print};

const STATUS: &str = "/nodes/{node}/qemu/{vmid}/status/current";

/// How often `qm wait` looks.
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

/// What a guest's status is now.
async fn status(agent: &Agent, vmid: VmId) -> Result<Value> {
    let params = values([("vmid", vmid.get().into())]);
    Ok(agent.at(Verb::Get, STATUS, params).await?.data)
}

/// The command line that a guest was started with. That of one that is stopped is made by the
/// task that starts it, and there is no operation that only shows it.
pub(super) async fn show_command(agent: Agent, given: Values) -> Result<()> {
    let vmid = vmid_of(&given)?;
    let pretty = given.get("pretty").is_some_and(|pretty| *pretty == true);
    let Some(pid) = status(&agent, vmid).await?["pid"].as_u64() else {
        let text = format!(
            "'qm showcmd' is not supported by this version of Ostler for a machine that is \
             stopped, as VM {vmid} is"
        );
        return Err(Error::new(ErrorKind::NotImplemented, text).into());
    };
    let path = format!("/proc/{pid}/cmdline");
    let line = std::fs::read(&path).with_context(|| format!("reading {path}"))?;
    output::line(&print::command_line(
        &String::from_utf8_lossy(&line),
        pretty,
    ))
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
