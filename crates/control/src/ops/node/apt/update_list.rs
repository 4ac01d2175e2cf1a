//! `GET /nodes/{node}/apt/update`

use model::Error;
use proto::wire::Answer;

use super::package::row;
use crate::ops::Op;

pub(super) async fn update_list(op: Op) -> Result<Answer, Error> {
    let node = &op.context.node;
    let updates = node.updates.get(&node.host).await?;
    Ok(Answer::new(updates.iter().map(row).collect::<Vec<_>>()))
}
