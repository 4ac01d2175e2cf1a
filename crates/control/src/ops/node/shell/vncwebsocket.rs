//! `GET /nodes/{node}/vncwebsocket`

use model::Error;
use node::host::shell::{self, Speech};
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
    let of = ConsoleOf::Node;
    let shell = shell::start(&op.context.node, lease.id(), *login).await?;
    let (line, end) = console::pair(of)?;
    let (speech, descriptor) = match password {
        None => (Speech::Messages, console::given(of, end)?),
        Some(password) => {
            shell.resize(vncterm::COLUMNS, vncterm::ROWS)?;
            (Speech::Typed, console::shown(of, end, password.clone())?)
        }
    };
    tokio::spawn(async move {
        if let Err(error) = shell::attend(shell, line, speech).await {
            tracing::debug!(%error, "a shell of this node ended");
        }
    });
    console::streamed(&op, "node_vncwebsocket", lease, descriptor)
}
