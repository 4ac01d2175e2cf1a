//! `GET /ostler/nodes/{node}/guests/{vmid}/admission`

use model::{Error, VmId};
use proto::wire::Answer;
use serde::Deserialize;
use serde_json::json;

use super::shown;
use crate::ops::Op;

#[derive(Deserialize)]
struct Guest {
    vmid: VmId,
}

pub(super) async fn guest_admission(op: Op) -> Result<Answer, Error> {
    let Guest { vmid } = op.params()?;
    let node = &op.context.node;
    let guest = op.records.guest(vmid).await?.record.data;
    let demand = node.demand(&guest).await;
    let rooms = node.rooms(Some(vmid)).await?;
    let reason = rooms.shortage(demand);
    let mut answer = shown(&rooms);
    answer.insert("fits".into(), u8::from(reason.is_none()).into());
    let overcommits = rooms.memory.overcommits(demand.memory);
    answer.insert("overcommits".into(), u8::from(overcommits).into());
    let needs = json!({"memory": demand.memory, "cpus": demand.cpus});
    answer.insert("needs".into(), needs);
    if let Some(reason) = reason {
        answer.insert("reason".into(), reason.into());
    }
    Ok(Answer::new(answer))
}
