//! `GET /ostler/nodes/{node}/pools`

use model::Error;
use node::host::pools::zpool;
use proto::wire::Answer;
use serde_json::Value;

use super::row;
use crate::ops::Op;

pub(super) async fn list(op: Op) -> Result<Answer, Error> {
    let states = zpool::states(&op.context.node.host).await?;
    let rows: Vec<Value> = states.iter().map(row).collect();
    Ok(Answer::new(rows))
}
