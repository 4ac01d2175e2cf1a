//! `POST /nodes/{node}/qemu/{vmid}/monitor`

use model::{Error, Privilege, VmId};
use node::tasks::qmp_failed;
use proto::wire::Answer;
use serde::Deserialize;

use super::Guest;
use crate::ops::Op;

/// Commands that only read.
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
    op.records.qemu(vmid).await?;
    // A monitor prints errors as text.
    let printed = print(&op, vmid, &command).await;
    Ok(Answer::new(
        printed.unwrap_or_else(|error| format!("ERROR: {error}\n")),
    ))
}

async fn print(op: &Op, vmid: VmId, command: &str) -> Result<String, Error> {
    let qmp = op.context.node.running.qmp(vmid).await?;
    qmp.human_monitor(command).await.map_err(qmp_failed)
}
