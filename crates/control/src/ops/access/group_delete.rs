//! `DELETE /access/groups/{groupid}`

use auth::edit;
use model::Error;
use proto::wire::Answer;

use super::Op;
use super::groups::Params;

pub(super) async fn group_delete(op: Op) -> Result<Answer, Error> {
    let Params { groupid, .. } = op.params()?;
    let done = op
        .context
        .authority
        .change(|access| edit::groups::delete(access, &groupid))
        .await;
    let revision = done.map_err(|error| error.during("delete group failed"))?;
    Ok(Answer::null().at(revision.0))
}
