//! `POST /nodes/{node}/qemu/{vmid}/status/stop`

use model::{Error, NodeName, VmId};
use node::tasks::QemuStop;
use proto::wire::Answer;
use serde::Deserialize;

use super::check_skiplock;
use crate::ops::Op;

#[derive(Deserialize)]
struct Stop {
    node: NodeName,
    vmid: VmId,
    skiplock: Option<bool>,
}

pub(super) async fn stop(op: Op) -> Result<Answer, Error> {
    let Stop {
        node,
        vmid,
        skiplock,
    } = op.params()?;
    op.context.check_node(&node)?;
    check_skiplock(&op, skiplock)?;
    // A guest that runs here can be stopped whatever the store says, or if it says nothing.
    if !op.context.world.running.is_running(vmid).await? {
        op.context.world.records.guest(vmid).await?;
    }
    op.context.submit(&op, vmid, QemuStop::new(vmid)).await
}
