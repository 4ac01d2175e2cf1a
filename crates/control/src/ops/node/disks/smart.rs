//! `GET /nodes/{node}/disks/smart`

use model::Error;
use node::host::disks::{self, Smart};
use proto::wire::Answer;
use serde::Deserialize;

use crate::ops::Op;

#[derive(Deserialize)]
struct Asked {
    disk: String,
    healthonly: Option<bool>,
}

pub(super) async fn smart(op: Op) -> Result<Answer, Error> {
    let Asked { disk, healthonly } = op.params()?;
    let host = &op.context.node.host;
    let known = disks::disks(host).await?;
    if !known.iter().any(|known| known.path == disk) {
        return Err(Error::conflict(format!("no such disk '{disk}'")));
    }
    let smart = match healthonly {
        Some(true) => Smart::of_health(host, &disk).await,
        _ => Smart::of(host, &disk).await,
    };
    Ok(Answer::new(smart.shown()))
}
