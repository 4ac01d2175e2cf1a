//! A guest's serial console on this terminal.

use std::io::IsTerminal;

use anyhow::{Context, Result, bail};
use guest::RunFile;
use model::{Error, VmId};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::signal::unix::{SignalKind, signal};

use super::agent::Agent;
use super::keyboard::Keyboard;
use super::output;

/// Ctrl-O.
const ESCAPE: u8 = 0x0f;

/// Connects until the escape is typed or the guest ends. `port` is `serialN`; by default the first
/// one.
pub(crate) async fn run(
    agent: &Agent,
    vmid: VmId,
    port: Option<&str>,
    escape: Option<&str>,
) -> Result<()> {
    let escape = match escape {
        Some(text) => {
            escape_of(text).with_context(|| format!("'{text}' is not an escape character"))?
        }
        None => ESCAPE,
    };
    let file = run_file(agent, vmid)?;
    let (number, socket) = choose(&file, port)?;
    let stream = UnixStream::connect(socket)
        .await
        .with_context(|| format!("connecting to serial{number} of VM {vmid}"))?;
    let key = char::from(escape | 0x40);
    output::note(&format!(
        "starting serial terminal on interface serial{number} (press Ctrl+{key} to exit)"
    ));
    let raw = TerminalMode::raw()?;
    let ended = connect(stream, escape).await;
    drop(raw);
    output::note("");
    ended
}

fn run_file(agent: &Agent, vmid: VmId) -> Result<RunFile> {
    let path = agent.run_file(vmid);
    let content = match std::fs::read(&path) {
        Ok(content) => content,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(Error::conflict(format!("VM {vmid} is not running")).into());
        }
        Err(error) => return Err(error).context(format!("reading {}", path.display())),
    };
    serde_json::from_slice(&content).with_context(|| format!("reading {}", path.display()))
}

fn choose<'a>(file: &'a RunFile, port: Option<&str>) -> Result<(u8, &'a str)> {
    let wanted = port.and_then(|port| port.strip_prefix("serial")?.parse::<u8>().ok());
    let mut ports = file.sockets.serial.iter();
    let found = match wanted {
        None => ports.next(),
        Some(wanted) => ports.find(|(number, _)| *number == wanted),
    };
    match (found, port) {
        (Some((number, socket)), _) => Ok((*number, socket)),
        (None, Some(port)) => bail!("VM {} has no {port} with a socket", file.vmid),
        (None, None) => bail!(
            "VM {} has no serial port with a socket: set 'serial0: socket' and start it again",
            file.vmid
        ),
    }
}

/// `^O` or `0x0f`.
fn escape_of(text: &str) -> Option<u8> {
    if let Some(hex) = text.strip_prefix("0x") {
        return u8::from_str_radix(hex, 16).ok();
    }
    let key = *text.strip_prefix('^')?.as_bytes().first()?;
    Some(key.to_ascii_uppercase() & 0x1f)
}

async fn connect(stream: UnixStream, escape: u8) -> Result<()> {
    let (mut from_guest, mut to_guest) = stream.into_split();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    let keys = async {
        let mut keyboard = Keyboard::open();
        loop {
            let typed = keyboard.read().await?;
            let keys = typed.split(|key| *key == escape).next().unwrap_or_default();
            to_guest
                .write_all(keys)
                .await
                .context("writing to the guest")?;
            if typed.is_empty() || keys.len() < typed.len() {
                return Ok(());
            }
        }
    };
    let screen = async {
        let mut shown = [0; 4096];
        loop {
            let count = from_guest
                .read(&mut shown)
                .await
                .context("reading from the guest")?;
            if count == 0 {
                return Ok(());
            }
            output::bytes(&shown[..count])?;
        }
    };
    tokio::select! {
        ended = keys => ended,
        ended = screen => ended,
        _ = terminate.recv() => Ok(()),
        _ = hang_up.recv() => Ok(()),
    }
}

/// A mode of the terminal, until this value is dropped.
pub(super) struct TerminalMode {
    before: Option<Termios>,
}

impl TerminalMode {
    /// Every key is passed on.
    fn raw() -> Result<Self> {
        Self::change(Termios::make_raw)
    }

    /// Input is not echoed.
    pub(super) fn without_echo() -> Result<Self> {
        Self::change(|mode| mode.local_modes.remove(LocalModes::ECHO))
    }

    fn change(change: impl FnOnce(&mut Termios)) -> Result<Self> {
        let keyboard = std::io::stdin();
        if !keyboard.is_terminal() {
            return Ok(Self { before: None });
        }
        let before = tcgetattr(&keyboard).context("reading the terminal's mode")?;
        let mut mode = before.clone();
        change(&mut mode);
        tcsetattr(&keyboard, OptionalActions::Now, &mode).context("setting the terminal's mode")?;
        Ok(Self {
            before: Some(before),
        })
    }
}

impl Drop for TerminalMode {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, before);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_control_keys_or_numbers() {
        assert_eq!(escape_of("^O"), Some(ESCAPE));
        assert_eq!(escape_of("^o"), Some(ESCAPE));
        assert_eq!(escape_of("^]"), Some(0x1d));
        assert_eq!(escape_of("0x01"), Some(1));
        for bad in ["", "O", "^", "0xzz"] {
            assert_eq!(escape_of(bad), None, "{bad}");
        }
    }
}
