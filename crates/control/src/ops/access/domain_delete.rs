//! `DELETE /access/domains/{realm}`

use auth::edit;
use model::Error;
use proto::wire::Answer;

use super::Op;
use super::domains::Named;

pub(super) async fn domain_delete(op: Op) -> Result<Answer, Error> {
    let Named { realm } = op.params()?;
    let done = op
        .context
        .authority
        .change(|access| edit::realms::delete(access, &realm))
        .await;
    let revision = done.map_err(|error| error.during("delete auth server failed"))?;
    Ok(Answer::null().at(revision.0))
}
