//! `GET /nodes/{node}/qemu/{vmid}/vncwebsocket`

use std::os::fd::OwnedFd;
use std::path::Path;

use guest::qemu::VncPassword;
use model::{Error, VmId};
use node::tasks::qmp_failed;
use node::{CONSOLE_WAIT_S, ConsoleKind, ConsoleOf};
use proto::wire::{Answer, Streamed};

use super::Guest;
use super::console::{check_serial, qmp, sockets};
use crate::ops::{Op, console};

pub(super) async fn vncwebsocket(op: Op) -> Result<Answer, Error> {
    let vmid = Guest::of(&op)?.vmid;
    console::check(&op, ConsoleOf::Guest(vmid))
}

pub(super) async fn open(op: Op) -> Result<Streamed, Error> {
    let vmid = Guest::of(&op)?.vmid;
    let lease = console::lease(&op, ConsoleOf::Guest(vmid))?;
    let descriptor = connected(&op, vmid, &lease.kind).await?;
    console::streamed(&op, "qemu_vncwebsocket", lease, descriptor)
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
            let qmp = qmp(op, vmid).await?;
            qmp.set_vnc_password(vnc).await.map_err(qmp_failed)?;
            sockets.vnc
        }
        ConsoleKind::Serial(serial) | ConsoleKind::Screen { serial, .. } => {
            check_serial(op, vmid, *serial).await?;
            let mut sockets = sockets.serial.into_iter();
            let found = sockets.find(|(number, _)| number == serial);
            found.map(|(_, socket)| socket)
        }
        ConsoleKind::Shell { .. } | ConsoleKind::Container { .. } => {
            return Err(Error::bug("a guest has no shell"));
        }
    };
    let socket = socket.ok_or_else(|| Error::conflict(format!("VM {vmid} was restarted")))?;
    let socket = Path::new(&socket);
    match kind {
        ConsoleKind::Screen { password, .. } => {
            let line = node.host.connect(socket).await?;
            console::shown(ConsoleOf::Guest(vmid), line, password.clone())
        }
        _ => Ok(node.host.connect_descriptor(socket).await?),
    }
}
