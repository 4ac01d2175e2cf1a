//! `DELETE /access/users/{userid}/token/{tokenid}`

use auth::edit;
use model::Error;
use proto::wire::Answer;

use super::tokens::Params;
use super::{Op, guard_root};

pub(super) async fn token_delete(op: Op) -> Result<Answer, Error> {
    let params: Params = op.params()?;
    guard_root(op.identity()?, &params.userid)?;
    params.token(&op.context.authority.access())?;
    let revision = op
        .context
        .authority
        .change(|access| edit::tokens::delete(access, &params.userid, &params.tokenid))
        .await
        .map_err(|error| error.during("deleting token failed"))?;
    Ok(Answer::null().at(revision.0))
}
