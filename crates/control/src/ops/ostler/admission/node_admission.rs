//! `GET /ostler/nodes/{node}/admission`

use model::Error;
use node::node_admission_key;
use proto::wire::Answer;
use serde_json::json;

use super::shown;
use crate::ops::Op;

pub(super) async fn node_admission(op: Op) -> Result<Answer, Error> {
    let node = &op.context.node;
    let mut answer = shown(&node.rooms(None).await?);
    let own = op.records.settings(&node_admission_key(&node.name)).await?;
    answer.insert("digest".into(), own.digest().into());
    answer.insert("policy".into(), json!(own.options));
    Ok(Answer::new(answer))
}
