//! `pct push` and `pct pull`: one file into a running container, or out of it.

use std::fs::File;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use model::schema::{Field, Values};
use serde_json::Value;

use super::super::agent::Agent;
use super::VMID;
use super::inside::running;
use crate::new_file::{NewFile, open_regular, own_descriptors, place_on_host};
use crate::roles::{Attributes, CopyOrder, Direction, ITSELF};

const LONGEST_PATH: usize = 4096;

const fn path(name: &'static str) -> Field {
    Field::string(name).max_length(LONGEST_PATH)
}

const USER: Field = Field::string("user").optional().max_length(256);
const GROUP: Field = Field::string("group").optional().max_length(256);
const PERMS: Field = Field::string("perms").optional().pattern("[0-7]{1,4}");

pub(super) const PUSH: &[Field] = &[VMID, path("file"), path("destination"), USER, GROUP, PERMS];

pub(super) const PULL: &[Field] = &[VMID, path("path"), path("destination"), USER, GROUP, PERMS];

fn text<'a>(given: &'a Values, name: &str) -> Option<&'a str> {
    given.get(name).and_then(Value::as_str)
}

fn attributes(given: &Values) -> Result<Attributes> {
    let mode = text(given, "perms").map(|mode| u32::from_str_radix(mode, 8));
    Ok(Attributes {
        user: text(given, "user").map(str::to_owned),
        group: text(given, "group").map(str::to_owned),
        mode: mode.transpose().context("reading the mode")?,
    })
}

/// What is to be done inside. The path there has no folder that it could begin at but the root.
async fn order(
    agent: &Agent,
    given: &Values,
    direction: Direction,
    path: &'static str,
) -> Result<CopyOrder> {
    let inside = text(given, path).unwrap_or_default().to_owned();
    if !inside.starts_with('/') {
        bail!("{path}: '{inside}' is not an absolute path");
    }
    let (vmid, status) = running(agent, given).await?;
    let init = status["pid"].as_u64().and_then(|pid| pid.try_into().ok());
    Ok(CopyOrder {
        vmid,
        init: init.with_context(|| format!("container '{vmid}' not running!"))?,
        direction,
        path: inside,
        attributes: attributes(given)?,
    })
}

/// Runs this program once more, which enters the container.
#[expect(
    clippy::disallowed_methods,
    reason = "the program is this one, and works for as long as this call"
)]
fn carry_out(order: &CopyOrder, input: Stdio, output: Stdio) -> Result<()> {
    let ended = std::process::Command::new(ITSELF)
        .arg("container-copy")
        .arg(serde_json::to_string(order)?)
        .stdin(input)
        .stdout(output)
        .stderr(Stdio::piped())
        .spawn()
        .and_then(std::process::Child::wait_with_output)
        .context("running this program")?;
    match ended.status.success() {
        true => Ok(()),
        false => bail!("{}", String::from_utf8_lossy(&ended.stderr).trim_end()),
    }
}

pub(super) async fn push(agent: Agent, given: Values) -> Result<()> {
    let order = order(&agent, &given, Direction::Push, "destination").await?;
    let file = Path::new(text(&given, "file").unwrap_or_default());
    let file = open_regular(own_descriptors()?.as_fd(), file)?;
    carry_out(&order, file.into(), Stdio::null())
}

pub(super) async fn pull(agent: Agent, given: Values) -> Result<()> {
    let order = order(&agent, &given, Direction::Pull, "path").await?;
    let descriptors = own_descriptors()?;
    let wanted = order.attributes.looked_up(descriptors.as_fd())?;
    let destination = Path::new(text(&given, "destination").unwrap_or_default());
    let new = NewFile::begin(&place_on_host(destination)?)?.with_mode_of_process()?;
    let output: File = new.file().try_clone()?;
    carry_out(&order, Stdio::null(), output.into())?;
    let placed = new.finish(descriptors.as_fd(), wanted);
    placed.with_context(|| format!("placing '{}'", destination.display()))
}
