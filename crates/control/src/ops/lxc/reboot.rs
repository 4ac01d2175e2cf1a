//! `POST /nodes/{node}/lxc/{vmid}/status/reboot`

use model::Error;
use node::tasks::LxcReboot;
use proto::wire::Answer;
use serde::Deserialize;

use super::Container;
use crate::ops::Op;

#[derive(Deserialize)]
struct Reboot {
    /// Seconds.
    timeout: Option<u64>,
}

pub(super) async fn reboot(op: Op) -> Result<Answer, Error> {
    let vmid = Container::of(&op)?.vmid;
    let Reboot { timeout } = op.params()?;
    op.records.lxc(vmid).await?;
    if !op.context.node.running.is_running(vmid).await? {
        // The word is Proxmox VE's.
        return Err(Error::conflict(format!("VM {vmid} not running")));
    }
    let task = LxcReboot {
        vmid,
        timeout_s: timeout,
    };
    op.context.submit(&op, vmid, task).await
}
