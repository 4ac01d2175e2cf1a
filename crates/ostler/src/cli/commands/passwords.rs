//! Passwords: asked for where somebody can be asked, read from standard input elsewhere. Among the
//! arguments, which every user of the machine can read, they are taken with a warning: scripts
//! and guides for Proxmox VE give them there.

use std::io::IsTerminal;

use anyhow::{Context, Result, bail};

use super::super::keyboard::Keyboard;
use super::super::options::Given;
use super::super::output;
use super::super::terminal::TerminalMode;
use super::Asks;

/// Asks for what was named without a value: once for a password that is known already, twice for
/// one that is made up.
pub(in crate::cli) async fn ask_for_passwords(given: &mut Given, kind: Asks) -> Result<()> {
    for name in std::mem::take(&mut given.asked) {
        let password = match kind {
            Asks::Old => line(&mut Keyboard::open(), "Password: ").await?,
            Asks::New | Asks::Nothing => ask_new().await?,
        };
        given.values.insert(name, password.into());
    }
    Ok(())
}

/// A new password, twice.
pub(in crate::cli) async fn ask_new() -> Result<String> {
    let mut keyboard = Keyboard::open();
    let password = line(&mut keyboard, "Enter new password: ").await?;
    let again = line(&mut keyboard, "Retype new password: ").await?;
    if password != again {
        bail!("passwords do not match");
    }
    Ok(password)
}

async fn line(keyboard: &mut Keyboard, prompt: &str) -> Result<String> {
    let is_watched = std::io::stdin().is_terminal();
    let _mode = TerminalMode::without_echo()?;
    if is_watched {
        output::prompt(prompt);
    }
    let line = keyboard.line().await?;
    if is_watched {
        output::note("");
    }
    line.context("no password was given")
}

/// Says that passwords should not stand among the arguments.
pub(super) fn warn_of_told(given: &Given) {
    for name in &given.told {
        output::note(&format!(
            "warning: every user of this machine can read arguments: give --{name} without a \
             value to be asked, or '--{name} -' to have a line of standard input read"
        ));
    }
}
