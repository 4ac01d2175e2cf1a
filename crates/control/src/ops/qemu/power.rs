//! Code that the operations on a running guest share.

use model::{Error, VmId};
use node::NodeContext;
use proto::wire::Answer;
use tasks::Task;

use super::Guest;
use crate::ops::Op;

/// Submits a task for a running guest; if the guest has stopped, the request fails at once.
pub(super) async fn tell<T: Task<Node = NodeContext>>(
    op: Op,
    task: impl FnOnce(VmId) -> T,
) -> Result<Answer, Error> {
    let vmid = Guest::of(&op)?.vmid;
    op.records.qemu(vmid).await?;
    if !op.context.node.running.is_running(vmid).await? {
        return Err(Error::conflict(format!("VM {vmid} not running")));
    }
    op.context.submit(&op, vmid, task(vmid)).await
}
