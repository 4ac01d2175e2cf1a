//! `PUT /access/users/{userid}/unlock-tfa`

use model::Error;
use proto::wire::Answer;

use super::tfa::Named;
use super::{Op, check_user, guard_root};

pub(super) async fn user_unlock_tfa(op: Op) -> Result<Answer, Error> {
    let Named { userid } = op.params()?;
    check_user(&op, &userid)?;
    guard_root(op.identity()?, &userid)?;
    let authority = &op.context.authority;
    if authority.factors(&userid).await?.is_empty() {
        // For this operation only users with second factors exist.
        return Err(Error::not_found("no such user"));
    }
    let now = authority.now();
    let unlocked = authority
        .change_factors(&userid, |factors| factors.unlock(now).then_some(()))
        .await?;
    let answer = Answer::new(u8::from(unlocked.is_some()));
    Ok(unlocked.map_or(answer.clone(), |((), revision)| answer.at(revision.0)))
}
