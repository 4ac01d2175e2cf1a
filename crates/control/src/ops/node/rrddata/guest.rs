//! `GET /nodes/{node}/{qemu,lxc}/{vmid}/rrddata`

use model::{Error, GuestKind, VmId};
use proto::wire::Answer;
use serde::Deserialize;
use serde_json::json;

use crate::ops::Op;

#[derive(Deserialize)]
struct Guest {
    vmid: VmId,
}

pub(super) async fn qemu(op: Op) -> Result<Answer, Error> {
    history(op, GuestKind::Qemu).await
}

pub(super) async fn lxc(op: Op) -> Result<Answer, Error> {
    history(op, GuestKind::Lxc).await
}

async fn history(op: Op, kind: GuestKind) -> Result<Answer, Error> {
    let Guest { vmid } = op.params()?;
    op.context.node.records.of_kind(vmid, kind).await?;
    Ok(Answer::new(json!([])))
}
