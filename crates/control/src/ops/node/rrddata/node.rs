//! `GET /nodes/{node}/rrddata`

use model::Error;
use proto::wire::Answer;
use serde_json::json;

use crate::ops::Op;
use crate::ops::node::status::Node;

pub(super) async fn node(op: Op) -> Result<Answer, Error> {
    let Node { node } = op.params()?;
    op.context.check_node(&node)?;
    Ok(Answer::new(json!([])))
}
