//! Commands that put a program of the container's at this terminal: LXC's own tools, which take the
//! place of this process.

use std::os::unix::process::CommandExt;

use anyhow::{Context, Result, bail};
use model::VmId;
use model::schema::{Field, Shape, Values};
use proto::Verb;
use serde_json::Value;

use super::super::agent::{Agent, values};
use super::VMID;
use crate::config::Config;

pub(super) const STATUS: &str = "/nodes/{node}/lxc/{vmid}/status/current";
const CONFIG: &str = "/nodes/{node}/lxc/{vmid}/config";

const KEEP_ENVIRONMENT: Field = Field::boolean("keep-env").optional().default("1");

pub(super) const CONSOLE: &[Field] = &[
    VMID,
    Field::string("escape")
        .optional()
        .pattern(r"\^?[a-z]")
        .default("^a"),
];

pub(super) const ENTER: &[Field] = &[VMID, KEEP_ENVIRONMENT];

pub(super) const EXEC: &[Field] = &[
    VMID,
    Field::array("command", &Shape::String),
    KEEP_ENVIRONMENT,
];

fn vmid_of(given: &Values) -> Result<VmId> {
    serde_json::from_value(given["vmid"].clone()).context("reading the VM ID")
}

fn keeps_environment(given: &Values) -> bool {
    let keep = given.get("keep-env");
    !keep.is_some_and(|keep| keep == "0" || *keep == Value::Bool(false))
}

/// Refuses a container that does not run. Answers its status too.
pub(super) async fn running(agent: &Agent, given: &Values) -> Result<(VmId, Value)> {
    let vmid = vmid_of(given)?;
    let params = values([("vmid", vmid.get().into())]);
    let status = agent.at(Verb::Get, STATUS, params).await?.data;
    if status["status"] != "running" {
        bail!("container '{vmid}' not running!");
    }
    Ok((vmid, status))
}

/// Becomes a tool of LXC. Returns only if that fails.
#[expect(
    clippy::disallowed_methods,
    reason = "the program takes the place of this one"
)]
fn become_tool(program: &str, vmid: VmId, arguments: &[String]) -> Result<()> {
    let guests = Config::load()?.paths.guests();
    let error = std::process::Command::new(program)
        .arg("-P")
        .arg(guests)
        .args(["-n", &vmid.to_string()])
        .args(arguments)
        .exec();
    Err(error).with_context(|| format!("running {program}"))
}

fn attach_arguments(given: &Values) -> Vec<String> {
    match keeps_environment(given) {
        true => vec!["--keep-env".to_owned()],
        false => vec!["--clear-env".to_owned()],
    }
}

pub(super) async fn enter(agent: Agent, given: Values) -> Result<()> {
    let (vmid, _) = running(&agent, &given).await?;
    become_tool("lxc-attach", vmid, &attach_arguments(&given))
}

pub(super) async fn exec(agent: Agent, given: Values) -> Result<()> {
    let (vmid, _) = running(&agent, &given).await?;
    let mut arguments = attach_arguments(&given);
    arguments.push("--".to_owned());
    let words = given.get("command").and_then(Value::as_array);
    let words = words.into_iter().flatten().filter_map(Value::as_str);
    arguments.extend(words.map(str::to_owned));
    become_tool("lxc-attach", vmid, &arguments)
}

pub(super) async fn console(agent: Agent, given: Values) -> Result<()> {
    let (vmid, _) = running(&agent, &given).await?;
    let params = values([("vmid", vmid.get().into())]);
    let config = agent.at(Verb::Get, CONFIG, params).await?.data;
    let escape = given.get("escape").and_then(Value::as_str).unwrap_or("^a");
    let escape = ["-e", escape].map(str::to_owned);
    match config["cmode"].as_str() {
        Some("shell") => become_tool("lxc-attach", vmid, &["--clear-env".to_owned()]),
        Some("console") => {
            let zero = ["-t", "0"].map(str::to_owned);
            become_tool("lxc-console", vmid, &[escape, zero].concat())
        }
        _ => become_tool("lxc-console", vmid, &escape),
    }
}
