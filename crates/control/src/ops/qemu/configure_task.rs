//! `POST /nodes/{node}/qemu/{vmid}/config`

use model::Error;
use proto::wire::Answer;

use super::configure::read;
use crate::ops::Op;

/// Answers the UPID at once.
pub(super) async fn configure_task(op: Op) -> Result<Answer, Error> {
    let task = read(&op).await?;
    op.context.submit(&op, task.vmid, task).await
}
