//! `POST /nodes/{node}/qemu/{vmid}/status/start`

use model::{Error, NodeName, VmId};
use node::tasks::QemuStart;
use proto::wire::Answer;
use serde::Deserialize;

use super::check_skiplock;
use crate::ops::Op;

#[derive(Deserialize)]
struct Start {
    node: NodeName,
    vmid: VmId,
    skiplock: Option<bool>,
    /// Seconds.
    timeout: Option<u64>,
}

pub(super) async fn start(op: Op) -> Result<Answer, Error> {
    let Start {
        node,
        vmid,
        skiplock,
        timeout,
    } = op.params()?;
    op.context.check_node(&node)?;
    check_skiplock(&op, skiplock)?;
    // A guest that does not exist is refused at once, not by a task.
    op.context.world.records.guest(vmid).await?;
    let task = QemuStart::new(vmid, timeout, skiplock == Some(true));
    op.context.submit(&op, vmid, task).await
}
