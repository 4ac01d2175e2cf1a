//! `POST /pools`

use auth::edit;
use model::Error;
use proto::wire::Answer;

use super::Params;
use crate::ops::Op;

pub(super) async fn create(op: Op) -> Result<Answer, Error> {
    let params: Params = op.params()?;
    let comment = params.comment.unwrap_or_default();
    let revision = op
        .context
        .authority
        .change(|access| edit::pools::create(access, &params.poolid, &comment))
        .await
        .map_err(|error| error.during("create pool failed"))?;
    Ok(Answer::null().at(revision.0))
}
