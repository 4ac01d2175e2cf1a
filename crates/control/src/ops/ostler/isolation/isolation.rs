//! `GET /ostler/isolation`

use model::Error;
use proto::wire::Answer;
use serde_json::json;

use crate::ops::Op;

pub(super) async fn isolation(op: Op) -> Result<Answer, Error> {
    let settings = op.records.isolation().await?.0;
    let mut answer = json!(settings.options);
    answer["digest"] = settings.digest().into();
    Ok(Answer::new(answer))
}
