//! `GET /cluster/config/totem`

use model::Error;
use proto::wire::Answer;

use crate::ops::Op;

pub(super) async fn totem(_: Op) -> Result<Answer, Error> {
    Ok(Answer::null())
}
