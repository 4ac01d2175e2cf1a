//! `POST /nodes/{node}/qemu/{vmid}/status/resume`

use model::Error;
use node::tasks::{QemuResume, QemuStart};
use proto::wire::Answer;

use super::Guest;
use super::power::tell;
use crate::ops::Op;

/// A guest that was suspended to disk is started, which resumes it.
pub(super) async fn resume(op: Op) -> Result<Answer, Error> {
    let vmid = Guest::of(&op)?.vmid;
    let guest = op.records.qemu(vmid).await?.record.data;
    if guest.suspended.is_some() {
        let task = QemuStart::new(vmid, None, false);
        return op.context.submit(&op, vmid, task).await;
    }
    tell(op, QemuResume::new).await
}
