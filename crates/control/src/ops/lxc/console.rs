//! What the consoles of a container share: `termproxy`, `vncproxy`, `vncwebsocket`

use guest::lxc::{ConsoleMode, CtConfig};
use model::{Error, VmId};
use node::tasks::LxcVncproxy;
use node::{ConsoleKind, ConsoleOf};
use serde_json::Value;
use sys::Command;

use super::check_running;
use crate::ops::{Op, console};

/// Reserves a port for a console, which is shown by VNC if there is a password.
pub(super) async fn reserve(op: &Op, vmid: VmId, password: Option<String>) -> Result<Value, Error> {
    op.records.lxc(vmid).await?;
    check_running(op, vmid).await?;
    let kind = ConsoleKind::Container { password };
    let of = ConsoleOf::Guest(vmid);
    console::reserve(op, of, kind, |id| LxcVncproxy::new(vmid, id)).await
}

/// The program that is the console of this container.
pub(super) async fn program(op: &Op, vmid: VmId) -> Result<Command, Error> {
    let guest = op.records.lxc(vmid).await?.record.data;
    let config = CtConfig::parse(&guest.config).map_err(Error::invalid_fields)?;
    let node = &op.context.node;
    Ok(match config.console_mode {
        ConsoleMode::Tty => node.container_terminal(vmid, None),
        ConsoleMode::Console => node.container_terminal(vmid, Some(0)),
        ConsoleMode::Shell => node.attach_to_container(vmid).arg("--clear-env"),
    })
}
