//! `PUT /access/groups/{groupid}`

use auth::edit;
use model::Error;
use proto::wire::Answer;

use super::Op;
use super::groups::Params;

pub(super) async fn group_update(op: Op) -> Result<Answer, Error> {
    let Params { groupid, comment } = op.params()?;
    let comment = comment.as_deref();
    let done = op
        .context
        .authority
        .change(|access| edit::groups::update(access, &groupid, comment))
        .await;
    let revision = done.map_err(|error| error.during("update group failed"))?;
    Ok(Answer::null().at(revision.0))
}
