//! `GET /ostler/cluster/witness`

use model::Error;
use node::membership::witness_answers;
use proto::wire::Answer;
use serde_json::json;

use crate::ops::Op;

/// An empty object: there is none.
pub(super) async fn witness(op: Op) -> Result<Answer, Error> {
    let Some(witness) = op.records.local().witness().await? else {
        return Ok(Answer::new(json!({})));
    };
    let online = witness_answers(&op.context.node, &witness).await?;
    Ok(Answer::new(json!({
        "name": witness.name,
        "address": witness.address,
        "votes": witness.votes,
        "online": u8::from(online),
    })))
}
