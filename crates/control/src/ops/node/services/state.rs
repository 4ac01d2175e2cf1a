//! `GET /nodes/{node}/services/{service}/state`

use model::{Error, NodeName};
use node::services::states;
use proto::wire::Answer;
use serde::Deserialize;

use super::row;
use crate::ops::Op;

#[derive(Deserialize)]
struct Named {
    node: NodeName,
    service: String,
}

pub(super) async fn state(op: Op) -> Result<Answer, Error> {
    let Named { node, service } = op.params()?;
    op.context.check_node(&node)?;
    let states = states(&op.context.world.host, &[&service]).await?;
    Ok(Answer::new(states.first().map(row).unwrap_or_default()))
}
