//! `qm guest exec` and `passwd`: commands of several guest agent operations.

use std::io::Read;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use model::schema::{Field, Shape, Values};
use proto::Verb;
use serde_json::{Value, json};

use super::super::agent::{Agent, values};
use super::super::commands::ask_new;
use super::super::output;
use super::{VMID, print};

const START: &str = "/nodes/{node}/qemu/{vmid}/agent/exec";
const STATUS: &str = "/nodes/{node}/qemu/{vmid}/agent/exec-status";
const SET_PASSWORD: &str = "/nodes/{node}/qemu/{vmid}/agent/set-user-password";

/// How often a program in the guest is polled.
const LOOK_MS: u64 = 300;

/// The maximum input of a program.
const INPUT_MAX: u64 = 65_536;

pub(super) const EXEC: &[Field] = &[
    VMID,
    Field::array("command", &Shape::String),
    Field::boolean("pass-stdin").optional().default("0"),
    Field::boolean("synchronous").optional().default("1"),
    Field::integer("timeout").optional().min(0.0).default("30"),
];

pub(super) const PASSWD: &[Field] = &[
    VMID,
    Field::string("username"),
    Field::boolean("crypted").optional().default("0"),
];

/// Runs a program in the guest and prints its result. If it takes longer than the timeout (0: none)
/// it continues, and its pid is printed.
pub(super) async fn exec(agent: Agent, given: Values) -> Result<()> {
    let flag = |name: &str| given.get(name).map(|flag| *flag == json!(true));
    let vmid = given["vmid"].clone();
    let mut params = values([
        ("vmid", vmid.clone()),
        ("command", given["command"].clone()),
    ]);
    if flag("pass-stdin") == Some(true) {
        params.insert("input-data".to_owned(), input()?.into());
    }
    let started = agent.at(Verb::Post, START, params).await?.data;
    if flag("synchronous") == Some(false) {
        return output::print(&print::agent_result(&started));
    }
    let timeout_s = given.get("timeout").and_then(Value::as_u64).unwrap_or(30);
    let deadline =
        (timeout_s > 0).then(|| agent.clock.monotonic() + Duration::from_secs(timeout_s));
    loop {
        let params = values([("vmid", vmid.clone()), ("pid", started["pid"].clone())]);
        let status = agent.at(Verb::Get, STATUS, params).await?.data;
        if status["exited"] == 1 {
            return output::print(&print::agent_result(&status));
        }
        if deadline.is_some_and(|deadline| agent.clock.monotonic() >= deadline) {
            output::note("timeout reached, returning pid");
            return output::print(&print::agent_result(&started));
        }
        agent.clock.sleep(Duration::from_millis(LOOK_MS)).await;
    }
}

/// All of standard input, which must be text, as on the wire.
fn input() -> Result<String> {
    let mut text = String::new();
    let read = std::io::stdin()
        .take(INPUT_MAX + 1)
        .read_to_string(&mut text);
    read.context("reading standard input")?;
    if text.len() as u64 > INPUT_MAX {
        bail!("standard input is longer than the {INPUT_MAX} bytes that a program can be given");
    }
    Ok(text)
}

/// Asks for a password twice and sets it in the guest.
pub(super) async fn passwd(agent: Agent, mut given: Values) -> Result<()> {
    given.insert("password".to_owned(), ask_new().await?.into());
    agent.at(Verb::Post, SET_PASSWORD, given).await.map(drop)
}
