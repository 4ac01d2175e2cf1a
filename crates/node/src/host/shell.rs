//! A shell of this node: a login program at a terminal, in a scope of its own, and the connection
//! of a client who uses it.

use std::io;

use model::Error;
use proto::terminal::{Said, Terminal as Messages};
use sys::{Command, Limits, ScopeName, Terminal};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

use crate::{Login, NodeContext};

/// Moved at a time.
const BLOCK: usize = 16 * 1024;

/// What a client of a shell says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speech {
    /// What is typed.
    Typed,
    /// The messages of a terminal in a browser.
    Messages,
}

/// Starts a shell in the scope of this console. The task of the console ends what is in the scope.
pub async fn start(node: &NodeContext, console: &str, login: Login) -> Result<Terminal, Error> {
    let scope = ScopeName::shell(console);
    node.host.create_scope(&scope, &Limits::default()).await?;
    let mut command = Command::new("/bin/login").timeout(None);
    if login == Login::Root {
        command = command.args(["-f", "root"]);
    }
    command.env.push(("TERM".into(), "xterm-256color".into()));
    Ok(node.host.spawn_at_terminal(command, &scope).await?)
}

/// Lets a client use a shell until either ends. Dropping it hangs up both.
pub async fn attend(shell: Terminal, client: UnixStream, speech: Speech) -> io::Result<()> {
    let (said_by, shown_to) = client.into_split();
    tokio::select! {
        ended = show(&shell, shown_to) => ended,
        ended = hear(&shell, said_by, speech) => ended,
    }
}

async fn show(shell: &Terminal, mut client: OwnedWriteHalf) -> io::Result<()> {
    let mut block = vec![0; BLOCK];
    loop {
        match shell.read(&mut block).await? {
            0 => return Ok(()),
            read => client.write_all(&block[..read]).await?,
        }
    }
}

async fn hear(shell: &Terminal, mut client: OwnedReadHalf, speech: Speech) -> io::Result<()> {
    let mut block = vec![0; BLOCK];
    let mut messages = Messages::default();
    loop {
        let read = client.read(&mut block).await?;
        if read == 0 {
            return Ok(());
        }
        if speech == Speech::Typed {
            type_all(shell, &block[..read]).await?;
            continue;
        }
        messages.add(&block[..read]);
        while let Some(said) = messages.message().map_err(io::Error::other)? {
            match said {
                Said::Typed(typed) => type_all(shell, &typed).await?,
                Said::Size { columns, rows } => {
                    shell.resize(columns, rows).map_err(io::Error::other)?
                }
            }
        }
    }
}

async fn type_all(shell: &Terminal, mut typed: &[u8]) -> io::Result<()> {
    while !typed.is_empty() {
        let written = shell.write(typed).await?;
        typed = &typed[written..];
    }
    Ok(())
}
