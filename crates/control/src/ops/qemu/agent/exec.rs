//! `POST /nodes/{node}/qemu/{vmid}/agent/exec`

use model::Error;
use node::snapshot_jobs::Change;
use proto::wire::Answer;
use serde::Deserialize;
use serde_json::json;

use super::super::Guest;
use crate::ops::Op;
use crate::ops::before::snapshot_before;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Exec {
    command: Vec<String>,
    input_data: Option<String>,
}

pub(super) async fn exec(op: Op) -> Result<Answer, Error> {
    let vmid = Guest::of(&op)?.vmid;
    let Exec {
        command,
        input_data,
    } = op.params()?;
    let missing = || Error::invalid("command", "names no program");
    let (program, arguments) = command.split_first().ok_or_else(missing)?;
    if program.is_empty() {
        return Err(missing());
    }
    let has_agent = async || op.context.node.guest_agent(vmid).await.map(drop);
    snapshot_before(&op, vmid, Change::Exec, has_agent).await?;
    let input = input_data.as_deref().map(str::as_bytes);
    let mut agent = op.context.node.guest_agent(vmid).await?;
    let pid = agent.exec(program, arguments, input).await;
    let pid = pid.map_err(|error| agent.failed(error))?;
    Ok(Answer::new(json!({ "pid": pid })))
}
