//! `PUT /access/users/{userid}`

use auth::edit;
use model::Error;
use proto::wire::Answer;

use super::users::Params;
use super::{Op, guard_root};

pub(super) async fn user_update(op: Op) -> Result<Answer, Error> {
    let params: Params = op.params()?;
    guard_root(op.identity()?, &params.userid)?;
    let change = params.change()?;
    let now = op.context.authority.now();
    let revision = op
        .context
        .authority
        .change(|access| edit::users::update(access, &params.userid, &change, now))
        .await
        .map_err(|error| error.during("update user failed"))?;
    Ok(Answer::null().at(revision.0))
}
