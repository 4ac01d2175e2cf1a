//! `PUT /ostler/nodes/{node}/admission`

use model::{Error, NodeName};
use node::node_admission_key;
use proto::wire::Answer;
use serde::Deserialize;

use super::update;
use crate::ops::Op;

#[derive(Deserialize)]
struct OnNode {
    node: NodeName,
}

pub(super) async fn node_admission_update(op: Op) -> Result<Answer, Error> {
    let OnNode { node } = op.params()?;
    update(&op, &node_admission_key(&node)).await
}
