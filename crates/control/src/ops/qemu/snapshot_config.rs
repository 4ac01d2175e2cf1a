//! `GET /nodes/{node}/qemu/{vmid}/snapshot/{snapname}/config`

use model::Error;
use node::tasks::snapshot_of;
use proto::wire::Answer;
use serde::Deserialize;

use super::Guest;
use super::config::of_snapshot;
use crate::ops::Op;

#[derive(Deserialize)]
struct Named {
    snapname: String,
}

pub(super) async fn snapshot_config(op: Op) -> Result<Answer, Error> {
    let vmid = Guest::of(&op)?.vmid;
    let Named { snapname } = op.params()?;
    let guest = op.records.qemu(vmid).await?.record.data;
    Ok(Answer::new(of_snapshot(snapshot_of(&guest, &snapname)?)))
}
