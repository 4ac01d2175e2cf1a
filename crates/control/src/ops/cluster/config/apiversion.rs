//! `GET /cluster/config/apiversion`

use model::Error;
use proto::wire::Answer;

use crate::ops::Op;

/// Members of a cluster compare it before one joins. It is a string on the wire.
const JOIN_API_VERSION: &str = "1";

pub(super) async fn apiversion(_: Op) -> Result<Answer, Error> {
    Ok(Answer::new(JOIN_API_VERSION))
}
