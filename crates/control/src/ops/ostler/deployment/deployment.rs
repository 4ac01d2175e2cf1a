//! `GET /ostler/deployment`

use model::Error;
use proto::wire::Answer;
use serde_json::json;

use crate::ops::Op;

pub(super) async fn deployment(op: Op) -> Result<Answer, Error> {
    let settings = op.records.deployment().await?.0;
    let mut answer = json!(settings.options);
    answer["digest"] = settings.digest().into();
    Ok(Answer::new(answer))
}
