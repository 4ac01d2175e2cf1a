//! `GET /cluster/config/qdevice`

use model::Error;
use node::membership::witness_answers;
use proto::wire::Answer;
use serde_json::json;

use crate::ops::Op;

/// The witness, as clients know a quorum device; an empty object without one.
pub(super) async fn qdevice(op: Op) -> Result<Answer, Error> {
    let Some(witness) = op.records.local().witness().await? else {
        return Ok(Answer::new(json!({})));
    };
    let state = match witness_answers(&op.context.node, &witness).await? {
        true => "Connected",
        false => "Disconnected",
    };
    Ok(Answer::new(json!({
        "Model": "Net",
        "QNetd host": witness.address,
        "State": state,
    })))
}
