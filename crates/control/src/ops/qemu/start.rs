//! `POST /nodes/{node}/qemu/{vmid}/status/start`

use model::Error;
use node::tasks::QemuStart;
use proto::wire::Answer;
use serde::Deserialize;

use super::Guest;
use crate::ops::Op;

#[derive(Deserialize)]
struct Start {
    /// Seconds.
    timeout: Option<u64>,
}

pub(super) async fn start(op: Op) -> Result<Answer, Error> {
    let guest = Guest::of(&op)?;
    let Start { timeout } = op.params()?;
    // A guest that does not exist is refused at once, not by a task.
    op.records.qemu(guest.vmid).await?;
    let task = QemuStart::new(guest.vmid, timeout, guest.skips_lock());
    op.context.submit(&op, guest.vmid, task).await
}
