//! `GET /nodes/{node}/hosts`

use model::Error;
use node::text_digest;
use proto::wire::Answer;
use serde_json::json;

use crate::ops::Op;

pub(super) async fn hosts(op: Op) -> Result<Answer, Error> {
    let text = op.context.node.etc("hosts").await?;
    let text = text.unwrap_or_default();
    let data = String::from_utf8_lossy(&text);
    Ok(Answer::new(
        json!({"data": data, "digest": text_digest(&text)}),
    ))
}
