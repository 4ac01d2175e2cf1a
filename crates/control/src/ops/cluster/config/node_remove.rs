//! `DELETE /cluster/config/nodes/{node}`

use model::{Error, NodeName};
use node::membership::remove;
use proto::wire::Answer;
use serde::Deserialize;

use crate::ops::Op;

#[derive(Deserialize)]
struct Remove {
    node: NodeName,
}

pub(super) async fn node_remove(op: Op) -> Result<Answer, Error> {
    let wanted: Remove = op.params()?;
    if wanted.node == op.context.node.name {
        return Err(Error::conflict("Cannot delete myself from cluster!"));
    }
    remove(&op.context.node, &wanted.node).await?;
    Ok(Answer::null())
}
