//! `GET /ostler/cluster/witness`

use std::time::Duration;

use model::{Error, with_timeout};
use node::state::Witness;
use proto::wire::Answer;
use serde_json::json;

use crate::context::Context;
use crate::ops::Op;

/// How long its etcd may take to answer.
const PATIENCE: Duration = Duration::from_secs(1);

/// An empty object: there is none.
pub(super) async fn witness(op: Op) -> Result<Answer, Error> {
    let Some(witness) = op.records.local().witness().await? else {
        return Ok(Answer::new(json!({})));
    };
    let online = is_online(&op.context, &witness).await?;
    Ok(Answer::new(json!({
        "name": witness.name,
        "address": witness.address,
        "votes": witness.votes,
        "online": u8::from(online),
    })))
}

/// Whether its etcd answers this node; one that does not vote has none.
pub(super) async fn is_online(context: &Context, witness: &Witness) -> Result<bool, Error> {
    if witness.votes == 0 {
        return Ok(false);
    }
    let answers = context.node.state()?.answers(&witness.address);
    let answers = with_timeout(&*context.clock, PATIENCE, answers).await;
    Ok(matches!(answers, Some(Ok(true))))
}
