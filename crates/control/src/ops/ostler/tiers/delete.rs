//! `DELETE /ostler/cluster/tiers/{tier}`: volumes stay as they are until tiers are applied.

use model::Error;
use proto::wire::Answer;

use super::Named;
use crate::ops::Op;

pub(super) async fn delete(op: Op) -> Result<Answer, Error> {
    let Named { tier } = op.params()?;
    let revision = op.records.remove_tier(&tier).await?;
    Ok(Answer::null().at(revision.0))
}
