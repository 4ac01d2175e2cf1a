//! `GET /access/ticket`

use model::Error;
use proto::wire::Answer;

use super::Op;

pub(super) async fn ticket_get(_op: Op) -> Result<Answer, Error> {
    Ok(Answer::null())
}
