//! `GET /nodes/{node}/aplinfo`: no index of templates is kept yet.

use model::Error;
use proto::wire::Answer;
use serde_json::json;

use crate::ops::Op;

pub(super) async fn aplinfo(_: Op) -> Result<Answer, Error> {
    Ok(Answer::new(json!([])))
}
