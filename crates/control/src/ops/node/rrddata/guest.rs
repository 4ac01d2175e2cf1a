//! `GET /nodes/{node}/{qemu,lxc}/{vmid}/rrddata`

use model::{Error, GuestKind, NodeName, VmId};
use proto::wire::Answer;
use serde::Deserialize;
use serde_json::json;

use crate::ops::Op;

#[derive(Deserialize)]
struct Guest {
    node: NodeName,
    vmid: VmId,
}

pub(super) async fn qemu(op: Op) -> Result<Answer, Error> {
    history(op, GuestKind::Qemu).await
}

pub(super) async fn lxc(op: Op) -> Result<Answer, Error> {
    history(op, GuestKind::Lxc).await
}

async fn history(op: Op, kind: GuestKind) -> Result<Answer, Error> {
    let Guest { node, vmid } = op.params()?;
    op.context.check_node(&node)?;
    let guest = op.context.world.records.guest(vmid).await?;
    if guest.record.data.kind != kind {
        let text = format!("guest {vmid} is not of the kind '{}'", kind.as_str());
        return Err(Error::not_found(text));
    }
    Ok(Answer::new(json!([])))
}
