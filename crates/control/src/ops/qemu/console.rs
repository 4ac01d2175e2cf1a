//! `POST /nodes/{node}/qemu/{vmid}/vncproxy`, `POST …/termproxy`, `GET …/vncwebsocket`

use std::time::Duration;

use guest::Sockets;
use guest::qemu::Qmp;
use model::{Error, VmId};
use node::tasks::{QemuVncproxy, qmp_failed};
use node::{ConsoleKind, ConsoleOf, serial_taken};
use serde_json::Value;

use crate::ops::{Op, console};

/// The number of `serial0`, also with options after it.
pub(super) fn serial_number(text: &str) -> Option<u8> {
    let first = text.split(',').next()?;
    first.strip_prefix("serial")?.parse().ok()
}

/// Reserves a port for a console of this guest.
pub(super) async fn reserve(op: &Op, vmid: VmId, kind: ConsoleKind) -> Result<Value, Error> {
    let of = ConsoleOf::Guest(vmid);
    console::reserve(op, of, kind, |id| QemuVncproxy::new(vmid, id)).await
}

/// The sockets of a running guest.
pub(super) async fn sockets(op: &Op, vmid: VmId) -> Result<Sockets, Error> {
    let running = &op.context.node.running;
    let not_running = || Error::conflict(format!("VM {vmid} is not running"));
    if !running.is_running(vmid).await? {
        return Err(not_running());
    }
    let file = running.run_file(vmid).await?.ok_or_else(not_running)?;
    Ok(file.sockets)
}

/// How long a QEMU may take to listen. It counts as running from its first moment on.
const LISTENS: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_millis(50);

/// The QMP connection to a guest that may just have been started.
pub(super) async fn qmp(op: &Op, vmid: VmId) -> Result<Qmp, Error> {
    let (running, clock) = (&op.context.node.running, &op.context.clock);
    let begun = clock.monotonic();
    loop {
        let connected = running.qmp(vmid).await;
        let is_over = clock.monotonic() >= begun + LISTENS;
        if connected.is_ok() || is_over || !running.is_running(vmid).await? {
            return connected;
        }
        clock.sleep(LOOK).await;
    }
}

/// Also notices a client that connected directly.
pub(super) async fn check_serial(op: &Op, vmid: VmId, port: u8) -> Result<(), Error> {
    let qmp = qmp(op, vmid).await?;
    if qmp.is_serial_taken(port).await.map_err(qmp_failed)? {
        return Err(serial_taken(ConsoleOf::Guest(vmid), port));
    }
    Ok(())
}
