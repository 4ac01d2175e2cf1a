//! `GET /nodes/{node}/services/{service}/state`

use model::Error;
use node::host::services::states;
use proto::wire::Answer;
use serde::Deserialize;

use super::row;
use crate::ops::Op;

#[derive(Deserialize)]
struct Named {
    service: String,
}

pub(super) async fn state(op: Op) -> Result<Answer, Error> {
    let Named { service } = op.params()?;
    let states = states(&op.context.node.host, &[&service]).await?;
    Ok(Answer::new(states.first().map(row).unwrap_or_default()))
}
