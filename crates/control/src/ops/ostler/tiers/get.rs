//! `GET /ostler/cluster/tiers/{tier}`

use model::Error;
use proto::wire::Answer;

use super::{Named, shown};
use crate::ops::Op;

pub(super) async fn get(op: Op) -> Result<Answer, Error> {
    let Named { tier } = op.params()?;
    Ok(Answer::new(shown(&op.records.tier(&tier).await?)))
}
