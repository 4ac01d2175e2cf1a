//! A shell of this node: a program at a terminal, in a scope of its own, and the connection of a
//! client who uses it.

use std::io;
use std::path::Path;

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

/// Starts a program at a terminal in the scope of this console: that of a container. The task of the
/// console ends what is in the scope.
pub async fn start_in(
    node: &NodeContext,
    console: &str,
    mut command: Command,
) -> Result<Terminal, Error> {
    let scope = ScopeName::shell(console);
    node.host.create_scope(&scope, &Limits::default()).await?;
    command.timeout = None;
    command.env.push(("TERM".into(), "xterm-256color".into()));
    Ok(node.host.spawn_at_terminal(command, &scope).await?)
}

/// Starts a shell in the scope of this console. The task of the console ends what is in the scope.
pub async fn start(node: &NodeContext, console: &str, login: Login) -> Result<Terminal, Error> {
    let command = match login {
        Login::Root => roots_shell(node).await,
        Login::Prompt => Command::new("/bin/login"),
    };
    start_in(node, console, command).await
}

/// Root's own shell, without `login`: that would let logind move it out of the scope.
async fn roots_shell(node: &NodeContext) -> Command {
    let users = node.host.read(Path::new("/etc/passwd")).await;
    let users = users.unwrap_or_default();
    let (home, shell) = home_and_shell(&String::from_utf8_lossy(&users));
    let mut command = Command::new("/bin/sh").args(["-c", "cd; exec \"$SHELL\" -l"]);
    for (name, value) in [
        ("HOME", &*home),
        ("SHELL", &*shell),
        ("USER", "root"),
        ("LOGNAME", "root"),
    ] {
        command.env.push((name.into(), value.into()));
    }
    command
}

/// Root's home and shell by the lines of `/etc/passwd`.
fn home_and_shell(users: &str) -> (String, String) {
    let line = users.lines().find_map(|line| line.strip_prefix("root:"));
    let fields: Vec<&str> = line.unwrap_or_default().split(':').collect();
    let field = |at: usize, otherwise: &str| {
        let given = fields.get(at).filter(|given| !given.is_empty());
        given.map_or(otherwise, |given| given).to_owned()
    };
    (field(4, "/root"), field(5, "/bin/sh"))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_has_a_home_and_a_shell() {
        let both = |home: &str, shell: &str| (home.to_owned(), shell.to_owned());
        let users = "daemon:x:1:1::/:/bin/false\nroot:x:0:0:root:/home/root:/bin/zsh\n";
        assert_eq!(home_and_shell(users), both("/home/root", "/bin/zsh"));
        assert_eq!(home_and_shell("root:x:0:0:root:/r:"), both("/r", "/bin/sh"));
        assert_eq!(home_and_shell(""), both("/root", "/bin/sh"));
    }
}
