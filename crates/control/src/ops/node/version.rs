//! `GET /nodes/{node}/version`

use model::Error;
use proto::wire::Answer;
use proto::{API_RELEASE, API_VERSION, REPOSITORY_ID};
use serde_json::json;

use crate::ops::Op;

pub(super) async fn version(_: Op) -> Result<Answer, Error> {
    Ok(Answer::new(json!({
        "version": API_VERSION,
        "release": API_RELEASE,
        "repoid": REPOSITORY_ID,
    })))
}
