//! `GET /nodes/{node}/lxc/{vmid}/vncwebsocket`

use model::Error;
use node::host::shell;
use node::{ConsoleKind, ConsoleOf};
use proto::wire::{Answer, Streamed};

use super::console::program;
use super::{Container, check_running};
use crate::ops::{Op, console};

pub(super) async fn vncwebsocket(op: Op) -> Result<Answer, Error> {
    let vmid = Container::of(&op)?.vmid;
    console::check(&op, ConsoleOf::Guest(vmid))
}

pub(super) async fn open(op: Op) -> Result<Streamed, Error> {
    let vmid = Container::of(&op)?.vmid;
    let of = ConsoleOf::Guest(vmid);
    let lease = console::lease(&op, of)?;
    let ConsoleKind::Container { password } = &lease.kind else {
        return Err(Error::conflict(format!("guest {vmid} was replaced")));
    };
    check_running(&op, vmid).await?;
    let program = program(&op, vmid).await?;
    let terminal = shell::start_in(&op.context.node, lease.id(), program).await?;
    let descriptor = console::at_terminal(of, terminal, password.clone())?;
    console::streamed(&op, "lxc_vncwebsocket", lease, descriptor)
}
