//! `qm monitor`: QEMU's own monitor, line by line.

use std::io::IsTerminal;

use anyhow::Result;
use model::VmId;
use proto::Verb;

use super::super::agent::{Agent, values};
use super::super::format::plain_text;
use super::super::keyboard::Keyboard;
use super::super::output;

const MONITOR: &str = "/nodes/{node}/qemu/{vmid}/monitor";

/// Reads commands until the end of input or `quit`. Errors are printed, and the next command is
/// read.
pub(super) async fn run(agent: &Agent, vmid: VmId) -> Result<()> {
    // Fails before the first prompt if the machine does not exist or run.
    ask(agent, vmid, "info version").await?;
    let prompt = if std::io::stdin().is_terminal() {
        "qm> "
    } else {
        ""
    };
    let hello = format!("Entering QEMU Monitor for VM {vmid} - type 'help' for help");
    output::line(&hello)?;
    let mut keyboard = Keyboard::open();
    loop {
        output::print(prompt)?;
        let line = keyboard.line().await?;
        match line.as_deref().map(str::trim) {
            None | Some("q" | "quit") => return Ok(()),
            Some("") => {}
            Some(command) => match ask(agent, vmid, command).await {
                Ok(text) if text.is_empty() => {}
                Ok(text) => output::line(&text)?,
                Err(error) => output::note(&format!("ERROR: {error:#}")),
            },
        }
    }
}

async fn ask(agent: &Agent, vmid: VmId, command: &str) -> Result<String> {
    let params = values([("vmid", vmid.get().into()), ("command", command.into())]);
    let answer = agent.at(Verb::Post, MONITOR, params).await?;
    Ok(plain_text(&answer.data)
        .replace("\r\n", "\n")
        .trim_end()
        .to_owned())
}
