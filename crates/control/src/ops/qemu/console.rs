//! `POST /nodes/{node}/qemu/{vmid}/vncproxy`, `POST …/termproxy`, `GET …/vncwebsocket`
//!
//! ```text
//!   client                    api                        agent
//!   vncproxy, termproxy ─────────────────────────────► a port is reserved for 40 s
//!   vncwebsocket ───────────► Ask::Stream ───────────► credential, ticket and port are checked
//!   frames ◄────────────────► bytes ◄── descriptor ─── the guest's socket, connected
//! ```
//!
//! The api keeps its connection to the agent open as long as the console, which is how the agent
//! notices the end. The agent hangs up when the caller loses access (`console_holder`).

use guest::Sockets;
use model::{Error, VmId};
use node::tasks::{QemuVncproxy, qmp_failed};
use node::{ConsoleKind, serial_taken};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::ops::Op;

/// The path that rights are checked on and tickets are bound to.
pub(super) fn path(vmid: VmId) -> String {
    format!("/vms/{vmid}")
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Display {
    pub(super) generate_password: Option<bool>,
}

/// The number of `serial0`, also with options after it.
pub(super) fn serial_number(text: &str) -> Option<u8> {
    let first = text.split(',').next()?;
    first.strip_prefix("serial")?.parse().ok()
}

/// Reserves a port, with a task that shows who uses the console.
pub(super) async fn reserve(op: &Op, vmid: VmId, kind: ConsoleKind) -> Result<Value, Error> {
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

/// Also notices a client that connected directly.
pub(super) async fn check_serial(op: &Op, vmid: VmId, port: u8) -> Result<(), Error> {
    let qmp = op.context.node.running.qmp(vmid).await?;
    if qmp.is_serial_taken(port).await.map_err(qmp_failed)? {
        return Err(serial_taken(vmid, port));
    }
    Ok(())
}
