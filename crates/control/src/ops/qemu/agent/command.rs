//! `POST /nodes/{node}/qemu/{vmid}/agent`

use model::Error;
use proto::wire::Answer;
use serde::Deserialize;

use super::super::Guest;
use super::plain;
use crate::ops::Op;

#[derive(Deserialize)]
struct Command {
    command: String,
}

pub(super) async fn command(op: Op) -> Result<Answer, Error> {
    let vmid = Guest::of(&op)?.vmid;
    let Command { command } = op.params()?;
    plain(&op, vmid, &command).await
}
