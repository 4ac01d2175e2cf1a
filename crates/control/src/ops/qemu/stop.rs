//! `POST /nodes/{node}/qemu/{vmid}/status/stop`

use model::Error;
use node::tasks::QemuStop;
use proto::wire::Answer;

use super::Guest;
use crate::ops::Op;

pub(super) async fn stop(op: Op) -> Result<Answer, Error> {
    let guest = Guest::of(&op)?;
    // A guest that runs here can be stopped whatever the store says, or if it says nothing.
    if !op.context.world.running.is_running(guest.vmid).await? {
        op.context.world.records.guest(guest.vmid).await?;
    }
    op.context
        .submit(&op, guest.vmid, QemuStop::new(guest.vmid))
        .await
}
