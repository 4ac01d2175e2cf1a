//! `POST /nodes/{node}/qemu/{vmid}/status/reboot`

use model::Error;
use node::tasks::QemuReboot;
use proto::wire::Answer;
use serde::Deserialize;

use super::Guest;
use crate::ops::Op;

#[derive(Deserialize)]
struct Reboot {
    /// Seconds.
    timeout: Option<u64>,
}

pub(super) async fn reboot(op: Op) -> Result<Answer, Error> {
    let vmid = Guest::of(&op)?.vmid;
    let Reboot { timeout } = op.params()?;
    op.records.qemu(vmid).await?;
    if !op.context.node.running.is_running(vmid).await? {
        return Err(Error::conflict(format!("VM {vmid} not running")));
    }
    op.context
        .submit(
            &op,
            vmid,
            QemuReboot {
                vmid,
                timeout_s: timeout,
            },
        )
        .await
}
