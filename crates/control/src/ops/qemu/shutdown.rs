//! `POST /nodes/{node}/qemu/{vmid}/status/shutdown`

use model::Error;
use node::tasks::QemuShutdown;
use proto::wire::Answer;
use serde::Deserialize;

use super::{Guest, check_keeps_active};
use crate::ops::Op;

#[derive(Deserialize)]
struct Shutdown {
    #[serde(rename = "forceStop")]
    force_stop: Option<bool>,
    #[serde(rename = "keepActive")]
    keep_active: Option<bool>,
    /// Seconds.
    timeout: Option<u64>,
}

/// Shutting down a stopped guest is no error: the task does nothing.
pub(super) async fn shutdown(op: Op) -> Result<Answer, Error> {
    let vmid = Guest::of(&op)?.vmid;
    let Shutdown {
        force_stop,
        keep_active,
        timeout,
    } = op.params()?;
    check_keeps_active(&op, keep_active)?;
    op.records.qemu(vmid).await?;
    let force_stop = force_stop == Some(true);
    let task = QemuShutdown {
        vmid,
        timeout_s: timeout,
        force_stop,
    };
    op.context.submit(&op, vmid, task).await
}
