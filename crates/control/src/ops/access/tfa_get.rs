//! `GET /access/tfa/{userid}/{id}`

use model::Error;
use proto::wire::Answer;

use super::Op;
use super::tfa::{One, entry};

pub(super) async fn tfa_get(op: Op) -> Result<Answer, Error> {
    let one: One = op.params()?;
    let factors = op.context.authority.factors(&one.userid).await?;
    let shown = factors.shown().into_iter().find(|shown| shown.id == one.id);
    let missing = || Error::absent(format!("No such tfa entry '{}'", one.id));
    Ok(Answer::new(entry(&shown.ok_or_else(missing)?)))
}
