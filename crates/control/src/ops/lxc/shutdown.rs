//! `POST /nodes/{node}/lxc/{vmid}/status/shutdown`

use model::Error;
use node::tasks::LxcShutdown;
use proto::wire::Answer;
use serde::Deserialize;

use super::{Container, check_running};
use crate::ops::Op;

#[derive(Deserialize)]
struct Shutdown {
    #[serde(rename = "forceStop")]
    force_stop: Option<bool>,
    /// Seconds.
    timeout: Option<u64>,
}

pub(super) async fn shutdown(op: Op) -> Result<Answer, Error> {
    let vmid = Container::of(&op)?.vmid;
    let Shutdown {
        force_stop,
        timeout,
    } = op.params()?;
    check_running(&op, vmid).await?;
    let task = LxcShutdown {
        vmid,
        timeout_s: timeout,
        force_stop: force_stop == Some(true),
    };
    op.context.submit(&op, vmid, task).await
}
