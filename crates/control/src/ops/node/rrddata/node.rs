//! `GET /nodes/{node}/rrddata`

use model::Error;
use proto::wire::Answer;
use serde_json::json;

use crate::ops::Op;

pub(super) async fn node(_: Op) -> Result<Answer, Error> {
    Ok(Answer::new(json!([])))
}
