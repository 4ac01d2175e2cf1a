//! `PUT /access/tfa/{userid}/{id}`

use model::Error;
use proto::wire::Answer;

use super::tfa::{One, no_entry};
use super::{Op, confirm, guard_root};

pub(super) async fn tfa_update(op: Op) -> Result<Answer, Error> {
    let one: One = op.params()?;
    guard_root(op.identity()?, &one.userid)?;
    confirm(&op, "password", one.password.as_deref()).await?;
    let updated = op
        .context
        .authority
        .change_factors(&one.userid, |factors| {
            factors
                .update(&one.id, one.description.clone(), one.enable)
                .then_some(())
        })
        .await?;
    let ((), revision) = updated.ok_or_else(no_entry)?;
    Ok(Answer::null().at(revision.0))
}
