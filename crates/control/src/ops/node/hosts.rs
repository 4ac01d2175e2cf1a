//! `GET /nodes/{node}/hosts`

use model::Error;
use node::text_digest;
use proto::wire::Answer;
use serde_json::json;

use super::status::Node;
use crate::ops::Op;

pub(super) async fn hosts(op: Op) -> Result<Answer, Error> {
    let Node { node } = op.params()?;
    op.context.check_node(&node)?;
    let text = op.context.world.etc("hosts").await?;
    let text = text.unwrap_or_default();
    let data = String::from_utf8_lossy(&text);
    Ok(Answer::new(
        json!({"data": data, "digest": text_digest(&text)}),
    ))
}
