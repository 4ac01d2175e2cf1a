//! `PUT /nodes/{node}/qemu/{vmid}/cloudinit`

use model::Error;
use node::tasks::QemuCloudinitUpdate;
use proto::wire::Answer;

use super::Guest;
use crate::ops::Op;

/// Waits until the medium is made. A guest without one is not changed.
pub(super) async fn cloudinit_update(op: Op) -> Result<Answer, Error> {
    let vmid = Guest::of(&op)?.vmid;
    op.records.qemu(vmid).await?;
    let task = QemuCloudinitUpdate { vmid };
    op.context.perform(&op, vmid, task).await
}
