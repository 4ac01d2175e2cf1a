//! `GET /nodes/{node}/scan/lvm`

use model::Error;
use node::host::pools::lvm as pools;
use proto::wire::Answer;
use serde_json::{Value, json};

use crate::ops::Op;

pub(super) async fn lvm(op: Op) -> Result<Answer, Error> {
    let groups = pools::groups(&op.context.node.host).await?;
    let rows = groups.iter().map(|group| {
        json!({"vg": group.name, "size": group.size, "free": group.free, "lvcount": group.volumes})
    });
    Ok(Answer::new(rows.collect::<Vec<Value>>()))
}
