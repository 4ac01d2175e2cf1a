//! `PUT /access/roles/{roleid}`

use auth::edit;
use model::Error;
use proto::wire::Answer;

use super::Op;
use super::roles::{Params, refuse_built_in};

pub(super) async fn role_update(op: Op) -> Result<Answer, Error> {
    let params: Params = op.params()?;
    refuse_built_in(&params.roleid, "modified")?;
    let (privileges, append) = (params.privileges(), params.append.unwrap_or(false));
    let done = op
        .context
        .authority
        .change(|access| edit::roles::update(access, &params.roleid, &privileges, append))
        .await;
    let revision = done.map_err(|error| error.during("update role failed"))?;
    Ok(Answer::null().at(revision.0))
}
