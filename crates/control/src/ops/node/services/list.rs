//! `GET /nodes/{node}/services`

use model::Error;
use node::services::states;
use proto::table::SERVICES;
use proto::wire::Answer;

use super::row;
use crate::ops::Op;
use crate::ops::node::status::Node;

pub(super) async fn list(op: Op) -> Result<Answer, Error> {
    let Node { node } = op.params()?;
    op.context.check_node(&node)?;
    let services = states(&op.context.world.host, SERVICES).await?;
    Ok(Answer::new(services.iter().map(row).collect::<Vec<_>>()))
}
