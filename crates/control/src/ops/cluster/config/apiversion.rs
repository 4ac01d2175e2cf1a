//! `GET /cluster/config/apiversion`

use model::Error;
use proto::wire::Answer;

use crate::ops::Op;

/// Compared before a node joins a cluster. A string on the wire.
const JOIN_API_VERSION: &str = "1";

pub(super) async fn apiversion(_: Op) -> Result<Answer, Error> {
    Ok(Answer::new(JOIN_API_VERSION))
}
