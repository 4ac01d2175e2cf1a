//! `POST /access/groups`

use auth::edit;
use model::Error;
use proto::wire::Answer;

use super::Op;
use super::groups::Params;

pub(super) async fn group_create(op: Op) -> Result<Answer, Error> {
    let Params { groupid, comment } = op.params()?;
    let comment = comment.unwrap_or_default();
    let done = op
        .context
        .authority
        .change(|access| edit::groups::create(access, &groupid, &comment))
        .await;
    let revision = done.map_err(|error| error.during("create group failed"))?;
    Ok(Answer::null().at(revision.0))
}
