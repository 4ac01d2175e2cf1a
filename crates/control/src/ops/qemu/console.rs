//! `POST /nodes/{node}/qemu/{vmid}/vncproxy`, `POST …/termproxy`, `GET …/vncwebsocket`
//!
//! ```text
//!   client                    api                        agent
//!   vncproxy, termproxy ─────────────────────────────► a port is reserved for 40 s
//!   vncwebsocket ───────────► Ask::Stream ───────────► credential, ticket and port are checked
//!   frames ◄────────────────► bytes ◄── descriptor ─── the guest's socket, connected
//! ```
//!
//! The api keeps its connection to the agent open as long as the console is: that is how the
//! agent knows. The agent hangs up when the caller may not have it any more (`console_holder`).

use std::os::fd::OwnedFd;
use std::path::Path;

use auth::AuthError;
use guest::Sockets;
use guest::qemu::VncPassword;
use model::{Error, VmId};
use node::tasks::{QemuVncproxy, qmp_failed};
use node::{CONSOLE_WAIT_S, ConsoleKind, serial_taken};
use proto::table;
use proto::wire::{Answer, Streamed};
use serde::Deserialize;
use serde_json::{Value, json};
use sys::{LentLine, Stream};
use uuid::Uuid;

use super::{Guest, console_holder};
use crate::ops::Op;

/// The path that rights were checked on, which tickets are bound to.
fn path(vmid: VmId) -> String {
    format!("/vms/{vmid}")
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Display {
    generate_password: Option<bool>,
}

pub(super) async fn vncproxy(op: Op) -> Result<Answer, Error> {
    let vmid = Guest::of(&op)?.vmid;
    let Display { generate_password } = op.params()?;
    let entry = op.context.node.records.qemu(vmid).await?;
    let sockets = sockets(&op, vmid).await?;
    let password = new_password()?;
    let kind = if sockets.vnc.is_some() {
        ConsoleKind::Display {
            password: password.clone(),
        }
    } else {
        // A guest whose screen is a serial port has a terminal, which is shown by VNC as well.
        let vga = entry.record.data.config.text("vga");
        let serial = vga.as_deref().and_then(serial_number);
        let has_socket = |port: &u8| sockets.serial.iter().any(|(number, _)| number == port);
        let serial = serial.filter(has_socket);
        let no_display = || Error::conflict(format!("VM {vmid} has no display"));
        let serial = serial.ok_or_else(no_display)?;
        check_serial(&op, vmid, serial).await?;
        ConsoleKind::Screen {
            serial,
            password: password.clone(),
        }
    };
    let mut answer = reserve(&op, vmid, kind).await?;
    // Clients that ask for no password take the beginning of the ticket for one.
    let ticket = answer["ticket"].as_str().unwrap_or_default();
    answer["ticket"] = format!("{password}:{ticket}").into();
    let node = &op.context.node;
    let certificate = node.host.read(&node.paths.tls().join("ca.pem")).await?;
    answer["cert"] = String::from_utf8_lossy(&certificate).into();
    if generate_password == Some(true) {
        answer["password"] = password.into();
    }
    Ok(Answer::new(answer))
}

#[derive(Deserialize)]
struct Terminal {
    serial: Option<String>,
}

pub(super) async fn termproxy(op: Op) -> Result<Answer, Error> {
    let vmid = Guest::of(&op)?.vmid;
    let Terminal { serial } = op.params()?;
    let entry = op.context.node.records.qemu(vmid).await?;
    let sockets = sockets(&op, vmid).await?;
    let screen = entry.record.data.config.text("vga");
    let wanted = serial.as_deref().and_then(serial_number);
    // A guest whose screen is a serial port is meant with that one.
    let wanted = wanted.or_else(|| screen.as_deref().and_then(serial_number));
    let port = sockets
        .serial
        .iter()
        .map(|(port, _)| *port)
        .find(|port| wanted.is_none_or(|wanted| wanted == *port));
    let port = port.ok_or_else(|| {
        let name = wanted.map_or_else(|| "serial port".to_owned(), |port| format!("serial{port}"));
        Error::conflict(format!("VM {vmid} has no {name} that is a socket"))
    })?;
    check_serial(&op, vmid, port).await?;
    let answer = reserve(&op, vmid, ConsoleKind::Serial(port)).await?;
    Ok(Answer::new(answer))
}

/// `serial0`, also with options behind it.
fn serial_number(text: &str) -> Option<u8> {
    let first = text.split(',').next()?;
    first.strip_prefix("serial")?.parse().ok()
}

/// Reserves a port, with a task that shows that somebody has a console.
async fn reserve(op: &Op, vmid: VmId, kind: ConsoleKind) -> Result<Value, Error> {
    let consoles = &op.context.node.consoles;
    let id = Uuid::new_v4().to_string();
    let port = consoles.reserve(id.clone(), vmid, kind)?;
    let task = QemuVncproxy::new(vmid, id.clone());
    let submitted = op.context.submit(op, vmid, task).await;
    if submitted.is_err() {
        consoles.close(&id);
    }
    let who = op.identity()?;
    let ticket = op
        .context
        .authority
        .console_ticket(who, &path(vmid), Some(port));
    Ok(json!({
        "user": who.label(),
        "ticket": ticket,
        "port": port.to_string(),
        "upid": submitted?.data,
    }))
}

/// The sockets of a guest that runs.
async fn sockets(op: &Op, vmid: VmId) -> Result<Sockets, Error> {
    let running = &op.context.node.running;
    let not_running = || Error::conflict(format!("VM {vmid} is not running"));
    if !running.is_running(vmid).await? {
        return Err(not_running());
    }
    let file = running.run_file(vmid).await?.ok_or_else(not_running)?;
    Ok(file.sockets)
}

/// Also finds those who connected without us.
async fn check_serial(op: &Op, vmid: VmId, port: u8) -> Result<(), Error> {
    let qmp = op.context.node.running.qmp(vmid).await?;
    if qmp.is_serial_taken(port).await.map_err(qmp_failed)? {
        return Err(serial_taken(vmid, port));
    }
    Ok(())
}

/// Eight characters, which is as many as VNC uses, of 6 random bits each.
fn new_password() -> Result<String, Error> {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._";
    let mut bytes = [0; 8];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| Error::bug("there are no random numbers"))?;
    let letter = |byte: &u8| char::from(LETTERS[usize::from(byte % 64)]);
    Ok(bytes.iter().map(letter).collect())
}

#[derive(Deserialize)]
struct Websocket {
    port: u16,
    vncticket: String,
}

impl Websocket {
    /// Reads the parameters and checks that the caller was given the ticket for this console.
    fn of(op: &Op, vmid: VmId) -> Result<Self, Error> {
        let websocket: Self = op.params()?;
        let label = op.identity()?.label();
        op.context
            .authority
            .verify_console(
                &label,
                &path(vmid),
                Some(websocket.port),
                &websocket.vncticket,
            )
            .map_err(AuthError::into)
            .map(|_| websocket)
    }
}

/// A request that asks for no websocket learns whether it could.
pub(super) async fn vncwebsocket(op: Op) -> Result<Answer, Error> {
    let vmid = Guest::of(&op)?.vmid;
    let Websocket { port, .. } = Websocket::of(&op, vmid)?;
    Ok(Answer::new(json!({"port": port.to_string()})))
}

pub(super) async fn open(op: Op) -> Result<Streamed, Error> {
    let vmid = Guest::of(&op)?.vmid;
    let Websocket { port, .. } = Websocket::of(&op, vmid)?;
    let lease = op.context.node.consoles.open(port, vmid)?;
    let descriptor = connected(&op, vmid, &lease.kind).await?;
    lease.keep(LentLine::new(&descriptor)?);
    let label = op.identity()?.label();
    let is_terminal = matches!(lease.kind, ConsoleKind::Serial(_));
    let row = table::row("qemu_vncwebsocket").ok_or_else(|| Error::bug("there is no such row"))?;
    let held = console_holder::hold(&op, row, lease)?;
    Ok(Streamed {
        answer: Answer::new(json!({"user": label, "terminal": is_terminal})),
        descriptor,
        held: Some(Box::new(held)),
    })
}

/// A descriptor of what a console leads to.
async fn connected(op: &Op, vmid: VmId, kind: &ConsoleKind) -> Result<OwnedFd, Error> {
    let node = &op.context.node;
    let sockets = sockets(op, vmid).await?;
    let socket = match kind {
        ConsoleKind::Display { password } => {
            let vnc = VncPassword {
                password,
                valid_seconds: CONSOLE_WAIT_S,
            };
            let qmp = node.running.qmp(vmid).await?;
            qmp.set_vnc_password(vnc).await.map_err(qmp_failed)?;
            sockets.vnc
        }
        ConsoleKind::Serial(serial) | ConsoleKind::Screen { serial, .. } => {
            check_serial(op, vmid, *serial).await?;
            let mut sockets = sockets.serial.into_iter();
            let found = sockets.find(|(number, _)| number == serial);
            found.map(|(_, socket)| socket)
        }
    };
    let socket = socket.ok_or_else(|| Error::conflict(format!("VM {vmid} was restarted")))?;
    let socket = Path::new(&socket);
    match kind {
        ConsoleKind::Screen { password, .. } => {
            let line = node.host.connect(socket).await?;
            shown(vmid, line, password.clone())
        }
        _ => Ok(node.host.connect_descriptor(socket).await?),
    }
}

/// Shows a line to a VNC client at the other end of the descriptor, until either hangs up.
fn shown(vmid: VmId, line: Box<dyn Stream>, password: String) -> Result<OwnedFd, Error> {
    let failed =
        |error| Error::unavailable(format!("cannot show the console of VM {vmid}: {error}"));
    let (client, given) = std::os::unix::net::UnixStream::pair().map_err(failed)?;
    client.set_nonblocking(true).map_err(failed)?;
    given.set_nonblocking(true).map_err(failed)?;
    let client = tokio::net::UnixStream::from_std(client).map_err(failed)?;
    tokio::spawn(async move {
        let name = format!("VM {vmid}");
        if let Err(error) = vncterm::serve(client, line, &name, &password).await {
            tracing::debug!(%vmid, %error, "a VNC client of a terminal ended");
        }
    });
    Ok(given.into())
}
