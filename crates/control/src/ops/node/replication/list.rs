//! `GET /nodes/{node}/replication`

use model::Error;
use proto::wire::Answer;
use serde_json::json;

use crate::ops::Op;

pub(super) async fn list(_: Op) -> Result<Answer, Error> {
    Ok(Answer::new(json!([])))
}
