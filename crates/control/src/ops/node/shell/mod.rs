//! `POST /nodes/{node}/termproxy`, `POST …/vncshell`, `POST …/spiceshell`, `GET …/vncwebsocket`:
//! shells of a node
//!
//! `root@pam` gets a shell of root. All others get the system's question for user and password,
//! and so does a token of root's.

mod spiceshell;
mod termproxy;
mod vncshell;
mod vncwebsocket;

use model::Error;
use node::tasks::NodeVncshell;
use node::{ConsoleKind, ConsoleOf, Login};
use serde_json::Value;

use crate::ops::{Op, Pair, StreamPair, console, pair, stream_pair};

pub(in crate::ops) const PAIRS: &[Pair] = &[
    pair!("node_spiceshell", spiceshell::spiceshell),
    pair!("node_termproxy", termproxy::termproxy),
    pair!("node_vncshell", vncshell::vncshell),
    pair!("node_vncwebsocket", vncwebsocket::vncwebsocket),
];

pub(super) const STREAM: StreamPair = stream_pair!("node_vncwebsocket", vncwebsocket::open);

/// Reserves a port for a shell, which is shown by VNC if there is a password.
async fn reserve(op: &Op, password: Option<String>) -> Result<Value, Error> {
    let who = op.identity()?;
    let login = match who.user.is_root() && who.token.is_none() {
        true => Login::Root,
        false => Login::Prompt,
    };
    let kind = ConsoleKind::Shell { login, password };
    console::reserve(op, ConsoleOf::Node, kind, NodeVncshell::new).await
}
