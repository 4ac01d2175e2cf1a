//! `PUT /nodes/{node}/qemu/{vmid}/snapshot/{snapname}/config`

use model::Error;
use proto::wire::Answer;
use serde::Deserialize;

use super::Guest;
use crate::ops::Op;
use crate::ops::snapshots::describe;

#[derive(Deserialize)]
struct Update {
    snapname: String,
    description: Option<String>,
}

pub(super) async fn snapshot_update(op: Op) -> Result<Answer, Error> {
    let vmid = Guest::of(&op)?.vmid;
    let Update {
        snapname,
        description,
    } = op.params()?;
    describe(&op, vmid, &snapname, description.as_deref()).await
}
