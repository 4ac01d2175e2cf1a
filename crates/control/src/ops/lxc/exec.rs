//! `POST /ostler/nodes/{node}/lxc/{vmid}/exec`

use model::Error;
use node::snapshot_jobs::Change;
use node::tasks::LxcExec;
use proto::wire::Answer;
use serde::Deserialize;

use super::Container;
use crate::ops::Op;
use crate::ops::before::snapshot_before;

#[derive(Deserialize)]
struct Exec {
    command: Vec<String>,
    #[serde(rename = "input-data")]
    input: Option<String>,
    timeout: Option<u64>,
}

pub(super) async fn exec(op: Op) -> Result<Answer, Error> {
    let vmid = Container::of(&op)?.vmid;
    let wanted: Exec = op.params()?;
    if wanted.command.first().is_none_or(String::is_empty) {
        return Err(Error::invalid("command", "a program is missing"));
    }
    op.records.lxc(vmid).await?;
    if !op.context.node.running.is_running(vmid).await? {
        return Err(Error::conflict(format!("CT {vmid} not running")));
    }
    snapshot_before(&op, vmid, Change::Exec, async || Ok(())).await?;
    let task = LxcExec {
        vmid,
        command: wanted.command,
        input: wanted.input.unwrap_or_default(),
        timeout_s: wanted.timeout,
    };
    op.context.submit(&op, vmid, task).await
}
