//! `GET /ostler/admission`

use model::Error;
use node::cluster_admission_key;
use proto::wire::Answer;
use serde_json::json;

use crate::ops::Op;

pub(super) async fn admission(op: Op) -> Result<Answer, Error> {
    let settings = op.records.settings(&cluster_admission_key()).await?;
    let mut answer = json!(settings.options);
    answer["digest"] = settings.digest().into();
    Ok(Answer::new(answer))
}
