//! `GET /nodes/{node}/apt/update`

use model::Error;
use proto::wire::Answer;

use super::package::row;
use crate::ops::Op;
use crate::ops::node::status::Node;

pub(super) async fn update_list(op: Op) -> Result<Answer, Error> {
    let Node { node } = op.params()?;
    op.context.check_node(&node)?;
    let world = &op.context.world;
    let updates = world.updates.get(&world.host).await?;
    Ok(Answer::new(updates.iter().map(row).collect::<Vec<_>>()))
}
