//! `GET /nodes/{node}/qemu/{vmid}/vncwebsocket`

use std::os::fd::OwnedFd;
use std::path::Path;

use auth::AuthError;
use guest::qemu::VncPassword;
use model::{Error, VmId};
use node::tasks::qmp_failed;
use node::{CONSOLE_WAIT_S, ConsoleKind};
use proto::table;
use proto::wire::{Answer, Streamed};
use serde::Deserialize;
use serde_json::json;
use sys::{LentLine, Stream};

use super::console::{check_serial, path, sockets};
use super::{Guest, console_holder};
use crate::ops::Op;

#[derive(Deserialize)]
struct Websocket {
    port: u16,
    vncticket: String,
}

impl Websocket {
    /// Reads the parameters and checks that the caller's ticket is for this console.
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

/// A request without a websocket upgrade only gets the checks.
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

/// A descriptor connected to the console.
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

/// Shows a serial line to a VNC client at the other end of the descriptor, until either hangs up.
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
