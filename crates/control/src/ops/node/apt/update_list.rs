//! `GET /nodes/{node}/apt/update`

use model::Error;
use node::packages;
use proto::wire::Answer;

use super::package::row;
use crate::ops::Op;
use crate::ops::node::status::Node;

pub(super) async fn update_list(op: Op) -> Result<Answer, Error> {
    let Node { node } = op.params()?;
    op.context.check_node(&node)?;
    let updates = packages::updates(&op.context.world.host).await?;
    Ok(Answer::new(updates.iter().map(row).collect::<Vec<_>>()))
}
