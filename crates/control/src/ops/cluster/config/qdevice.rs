//! `GET /cluster/config/qdevice`

use model::Error;
use proto::wire::Answer;
use serde_json::json;

use super::witness::is_online;
use crate::ops::Op;

/// The witness, as clients know a quorum device; an empty object without one.
pub(super) async fn qdevice(op: Op) -> Result<Answer, Error> {
    let Some(witness) = op.records.local().witness().await? else {
        return Ok(Answer::new(json!({})));
    };
    let state = match is_online(&op.context, &witness).await? {
        true => "Connected",
        false => "Disconnected",
    };
    Ok(Answer::new(json!({
        "Model": "Net",
        "QNetd host": witness.address,
        "State": state,
    })))
}
