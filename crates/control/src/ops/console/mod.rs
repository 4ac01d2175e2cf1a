//! What consoles of guests and shells of nodes share: `vncproxy`, `termproxy`, `vncwebsocket`
//!
//! ```text
//!   client                    api                        agent
//!   vncproxy, termproxy ─────────────────────────────► a port is reserved for 40 s
//!   vncwebsocket ───────────► Ask::Stream ───────────► credential, ticket and port are checked
//!   frames ◄────────────────► bytes ◄── descriptor ─── a connected socket of guest or shell
//! ```
//!
//! The api keeps its connection to the agent open as long as the console, which is how the agent
//! notices the end. The agent hangs up when the caller loses access (`holder`).

mod holder;

use std::os::fd::OwnedFd;

use ::node::host::shell::{self, Speech};
use ::node::{ConsoleKind, ConsoleOf, Lease, NodeContext};
use auth::AuthError;
use model::Error;
use proto::table;
use proto::wire::{Answer, Streamed};
use serde::Deserialize;
use serde_json::{Value, json};
use sys::{LentLine, Terminal};
use tasks::Task;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixStream;
use uuid::Uuid;

use super::Op;

/// The path that rights are checked on and tickets are bound to.
fn path(op: &Op, of: ConsoleOf) -> String {
    match of {
        ConsoleOf::Guest(vmid) => format!("/vms/{vmid}"),
        ConsoleOf::Node => format!("/nodes/{}", op.context.node.name),
    }
}

/// Reserves a port, with a task that shows who uses the console. The task is made for the console's
/// id, which is none of its port: a port is used again.
pub(super) async fn reserve<T: Task<Node = NodeContext>>(
    op: &Op,
    of: ConsoleOf,
    kind: ConsoleKind,
    task: impl FnOnce(String) -> T,
) -> Result<Value, Error> {
    let consoles = &op.context.node.consoles;
    let id = Uuid::new_v4().to_string();
    let port = consoles.reserve(id.clone(), of, kind)?;
    let about = match of {
        ConsoleOf::Guest(vmid) => vmid.to_string(),
        ConsoleOf::Node => String::new(),
    };
    let submitted = op.context.submit(op, about, task(id.clone())).await;
    if submitted.is_err() {
        consoles.close(&id);
    }
    let who = op.identity()?;
    let ticket = op
        .context
        .authority
        .console_ticket(who, &path(op, of), Some(port));
    Ok(json!({
        "user": who.label(),
        "ticket": ticket,
        "port": port.to_string(),
        "upid": submitted?.data,
    }))
}

/// The answer for a client of VNC: with the certificate, and the password if that is asked for.
pub(super) async fn with_password(
    op: &Op,
    mut answer: Value,
    password: String,
    is_asked_for: bool,
) -> Result<Answer, Error> {
    // Clients that request no password use the beginning of the ticket as one.
    let ticket = answer["ticket"].as_str().unwrap_or_default();
    answer["ticket"] = format!("{password}:{ticket}").into();
    let node = &op.context.node;
    let certificate = node.host.read(&node.paths.tls().join("ca.pem")).await?;
    answer["cert"] = String::from_utf8_lossy(&certificate).into();
    if is_asked_for {
        answer["password"] = password.into();
    }
    Ok(Answer::new(answer))
}

/// Eight characters of 6 random bits each; VNC uses no more.
pub(super) fn new_password() -> Result<String, Error> {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._";
    let mut bytes = [0; 8];
    aws_lc_rs::rand::fill(&mut bytes)
        .map_err(|_| Error::bug("the system's random numbers are not available"))?;
    let letter = |byte: &u8| char::from(LETTERS[usize::from(byte % 64)]);
    Ok(bytes.iter().map(letter).collect())
}

#[derive(Deserialize)]
struct Websocket {
    port: u16,
    vncticket: String,
}

/// Checks that the caller's ticket is for this console; returns its port.
fn checked_port(op: &Op, of: ConsoleOf) -> Result<u16, Error> {
    let Websocket { port, vncticket } = op.params()?;
    let label = op.identity()?.label();
    op.context
        .authority
        .verify_console(&label, &path(op, of), Some(port), &vncticket)
        .map_err(AuthError::into)
        .map(|_| port)
}

/// A request without a websocket upgrade only gets the checks.
pub(super) fn check(op: &Op, of: ConsoleOf) -> Result<Answer, Error> {
    let port = checked_port(op, of)?;
    Ok(Answer::new(json!({"port": port.to_string()})))
}

/// Takes the console that waits for the caller.
pub(super) fn lease(op: &Op, of: ConsoleOf) -> Result<Lease, Error> {
    let port = checked_port(op, of)?;
    op.context.node.consoles.open(port, of)
}

/// The answer to the row's `vncwebsocket`: the console's descriptor, until the caller hangs up or
/// loses access.
pub(super) fn streamed(
    op: &Op,
    row: &str,
    lease: Lease,
    descriptor: OwnedFd,
) -> Result<Streamed, Error> {
    lease.keep(LentLine::new(&descriptor)?);
    let row = table::row(row).ok_or_else(|| Error::bug("there is no such row"))?;
    let speech = match lease.kind {
        ConsoleKind::Serial(_) => "terminal",
        ConsoleKind::Shell { password: None, .. } | ConsoleKind::Container { password: None } => {
            "sized-terminal"
        }
        _ => "bytes",
    };
    let answer = Answer::new(json!({"user": op.identity()?.label(), "speech": speech}));
    let held = holder::hold(op, row, lease)?;
    Ok(Streamed {
        answer,
        descriptor,
        held: Some(Box::new(held)),
    })
}

/// Both ends of a connection within this process.
fn pair(of: ConsoleOf) -> Result<(UnixStream, UnixStream), Error> {
    UnixStream::pair().map_err(|error| not_shown(of, &error))
}

/// One end of a connection, to be given away.
fn given(of: ConsoleOf, end: UnixStream) -> Result<OwnedFd, Error> {
    let end = end.into_std().map_err(|error| not_shown(of, &error))?;
    Ok(end.into())
}

fn not_shown(of: ConsoleOf, error: &std::io::Error) -> Error {
    Error::unavailable(format!("cannot show the console of {of}: {error}"))
}

/// Lets a client use a program at a terminal, with the messages of a terminal, or by VNC if there is
/// a password.
pub(super) fn at_terminal(
    of: ConsoleOf,
    terminal: Terminal,
    password: Option<String>,
) -> Result<OwnedFd, Error> {
    let (line, end) = pair(of)?;
    let (speech, descriptor) = match password {
        None => (Speech::Messages, given(of, end)?),
        Some(password) => {
            terminal.resize(vncterm::COLUMNS, vncterm::ROWS)?;
            (Speech::Typed, shown(of, end, password)?)
        }
    };
    tokio::spawn(async move {
        if let Err(error) = shell::attend(terminal, line, speech).await {
            tracing::debug!(%of, %error, "a terminal ended");
        }
    });
    Ok(descriptor)
}

/// Shows a line to a VNC client at the other end of the descriptor, until either hangs up.
pub(super) fn shown<L>(of: ConsoleOf, line: L, password: String) -> Result<OwnedFd, Error>
where
    L: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (client, end) = pair(of)?;
    tokio::spawn(async move {
        if let Err(error) = vncterm::serve(client, line, &of.to_string(), &password).await {
            tracing::debug!(%of, %error, "a VNC client of a terminal ended");
        }
    });
    given(of, end)
}
