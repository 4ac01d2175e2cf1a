//! `POST /nodes/{node}/status`

use std::path::Path;

use model::{Error, NodeName};
use proto::wire::Answer;
use serde::Deserialize;
use sys::Command;

use crate::ops::Op;

#[derive(Deserialize)]
struct Power {
    node: NodeName,
    command: String,
}

pub(super) async fn power(op: Op) -> Result<Answer, Error> {
    let Power { node, command } = op.params()?;
    let host = &op.context.node.host;
    let first = host.read(Path::new("/proc/1/comm")).await?;
    let first = String::from_utf8_lossy(&first).trim().to_owned();
    if first != "systemd" {
        let text = format!(
            "cannot {command} node '{node}': its first process is '{first}', and only systemd is \
             asked for that"
        );
        return Err(Error::unavailable(text));
    }
    let verb = if command == "reboot" {
        "reboot"
    } else {
        "poweroff"
    };
    host.run(Command::new("systemctl").arg(verb))
        .await?
        .checked("systemctl")?;
    Ok(Answer::null())
}
