//! `POST /nodes/{node}/lxc/{vmid}/status/stop`

use model::Error;
use node::tasks::LxcStop;
use proto::wire::Answer;
use serde::Deserialize;

use super::{Container, check_running};
use crate::ops::Op;
use crate::ops::qemu::overrule_shutdowns;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Stop {
    overrule_shutdown: Option<bool>,
}

pub(super) async fn stop(op: Op) -> Result<Answer, Error> {
    let vmid = Container::of(&op)?.vmid;
    let Stop { overrule_shutdown } = op.params()?;
    check_running(&op, vmid).await?;
    let mut task = LxcStop::new(vmid);
    if overrule_shutdown == Some(true) {
        task.overruled = overrule_shutdowns(&op, vmid, "vzshutdown")?;
    }
    op.context.submit(&op, vmid, task).await
}
