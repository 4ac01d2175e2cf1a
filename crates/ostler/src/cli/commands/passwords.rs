//! Passwords: read from a terminal with a prompt, else from standard input. Passwords among the
//! arguments, which every user of the host can read, are accepted with a warning, because scripts
//! and guides for Proxmox VE use them.

use std::io::IsTerminal;

use anyhow::{Context, Result, bail};

use super::super::keyboard::Keyboard;
use super::super::options::Given;
use super::super::output;
use super::super::terminal::TerminalMode;
use super::Asks;

/// Asks for the secrets that were named without a value: once for an existing password, twice for a
/// new one.
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

/// Asks for a new password, twice.
pub(in crate::cli) async fn ask_new() -> Result<String> {
    let mut keyboard = Keyboard::open();
    let password = line(&mut keyboard, "Enter new password: ").await?;
    let again = line(&mut keyboard, "Retype new password: ").await?;
    if password != again {
        bail!("passwords do not match");
    }
    Ok(password)
}

/// Asks for a secret.
pub(in crate::cli) async fn line(keyboard: &mut Keyboard, prompt: &str) -> Result<String> {
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

/// Warns about passwords among the arguments.
pub(super) fn warn_of_told(given: &Given) {
    for name in &given.told {
        output::note(&format!(
            "warning: every user of this machine can read arguments: give --{name} without a \
             value to be asked, or '--{name} -' to have a line of standard input read"
        ));
    }
}
