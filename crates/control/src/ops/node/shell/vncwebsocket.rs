//! `GET /nodes/{node}/vncwebsocket`

use model::Error;
use node::host::shell;
use node::{ConsoleKind, ConsoleOf};
use proto::wire::{Answer, Streamed};

use crate::ops::{Op, console};

pub(super) async fn vncwebsocket(op: Op) -> Result<Answer, Error> {
    console::check(&op, ConsoleOf::Node)
}

pub(super) async fn open(op: Op) -> Result<Streamed, Error> {
    let lease = console::lease(&op, ConsoleOf::Node)?;
    let ConsoleKind::Shell { login, password } = &lease.kind else {
        return Err(Error::bug("a node has no consoles but its shells"));
    };
    let shell = shell::start(&op.context.node, lease.id(), *login).await?;
    let descriptor = console::at_terminal(ConsoleOf::Node, shell, password.clone())?;
    console::streamed(&op, "node_vncwebsocket", lease, descriptor)
}
