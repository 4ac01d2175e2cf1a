//! `DELETE /access/roles/{roleid}`

use auth::edit;
use model::Error;
use proto::wire::Answer;

use super::Op;
use super::roles::{Params, refuse_built_in};

pub(super) async fn role_delete(op: Op) -> Result<Answer, Error> {
    let params: Params = op.params()?;
    refuse_built_in(&params.roleid, "deleted")?;
    let done = op
        .context
        .authority
        .change(|access| edit::roles::delete(access, &params.roleid))
        .await;
    let revision = done.map_err(|error| error.during("delete role failed"))?;
    Ok(Answer::null().at(revision.0))
}
