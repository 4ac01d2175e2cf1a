//! `POST /access/roles`

use auth::edit;
use model::Error;
use proto::wire::Answer;

use super::Op;
use super::roles::Params;

pub(super) async fn role_create(op: Op) -> Result<Answer, Error> {
    let params: Params = op.params()?;
    let prefix = params.roleid.as_str().get(..3).unwrap_or_default();
    if prefix.eq_ignore_ascii_case("PVE") {
        let reason = "cannot use role ID starting with the (case-insensitive) 'PVE' namespace";
        return Err(Error::invalid("roleid", reason));
    }
    let privileges = params.privileges();
    let done = op
        .context
        .authority
        .change(|access| edit::roles::create(access, &params.roleid, &privileges))
        .await;
    let revision = done.map_err(|error| error.during("create role failed"))?;
    Ok(Answer::null().at(revision.0))
}
