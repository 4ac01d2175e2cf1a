//! `POST /nodes/{node}/qemu/{vmid}/monitor`

use model::{Error, Privilege};
use node::tasks::qmp_failed;
use proto::wire::Answer;
use serde::Deserialize;

use super::Guest;
use crate::ops::Op;

/// Commands that only look.
const READING: [&str; 2] = ["info", "help"];

#[derive(Deserialize)]
struct Monitor {
    command: String,
}

pub(super) async fn monitor(op: Op) -> Result<Answer, Error> {
    let vmid = Guest::of(&op)?.vmid;
    let Monitor { command } = op.params()?;
    let first = command.split_whitespace().next().unwrap_or_default();
    if !READING.contains(&first) {
        let access = op.context.authority.access();
        let view = access.view(op.identity()?, op.context.clock.wall());
        view.require(&format!("/vms/{vmid}"), &[Privilege::SysModify])?;
    }
    op.context.world.records.guest(vmid).await?;
    let qmp = op.context.world.running.qmp(vmid).await?;
    Ok(Answer::new(qmp.human_monitor(&command).await.map_err(qmp_failed)?))
}
