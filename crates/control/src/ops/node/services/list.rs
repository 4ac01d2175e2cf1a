//! `GET /nodes/{node}/services`

use model::Error;
use node::host::services::states;
use proto::table::SERVICES;
use proto::wire::Answer;

use super::row;
use crate::ops::Op;

pub(super) async fn list(op: Op) -> Result<Answer, Error> {
    let services = states(&op.context.node.host, SERVICES).await?;
    Ok(Answer::new(services.iter().map(row).collect::<Vec<_>>()))
}
