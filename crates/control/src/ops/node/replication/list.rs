//! `GET /nodes/{node}/replication`

use model::Error;
use proto::wire::Answer;
use serde_json::json;

use crate::ops::Op;
use crate::ops::node::status::Node;

pub(super) async fn list(op: Op) -> Result<Answer, Error> {
    let Node { node } = op.params()?;
    op.context.check_node(&node)?;
    Ok(Answer::new(json!([])))
}
