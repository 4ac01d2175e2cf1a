//! `GET /cluster/ha/resources`

use model::Error;
use proto::wire::Answer;
use serde_json::json;

use crate::ops::Op;

pub(super) async fn resource_list(_: Op) -> Result<Answer, Error> {
    Ok(Answer::new(json!([])))
}
