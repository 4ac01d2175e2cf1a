//! `GET /access/users/{userid}/token/{tokenid}`

use model::Error;
use proto::wire::Answer;

use super::Op;
use super::tokens::{Params, shown};

pub(super) async fn token_get(op: Op) -> Result<Answer, Error> {
    let params: Params = op.params()?;
    let access = op.context.authority.access();
    Ok(Answer::new(shown(params.token(&access)?)))
}
