//! `DELETE /access/users/{userid}`

use auth::edit;
use model::Error;
use proto::wire::Answer;

use super::users::Params;
use super::{Op, check_user};

pub(super) async fn user_delete(op: Op) -> Result<Answer, Error> {
    let params: Params = op.params()?;
    check_user(&op, &params.userid)?;
    let revision = op
        .context
        .authority
        .change(|access| edit::users::delete(access, &params.userid))
        .await
        .map_err(|error| error.during("delete user failed"))?;
    Ok(Answer::null().at(revision.0))
}
