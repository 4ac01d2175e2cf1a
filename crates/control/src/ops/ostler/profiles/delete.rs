//! `DELETE /ostler/cluster/profiles/{profile}`: the machines that were made of it stay.

use model::Error;
use proto::wire::Answer;

use super::Named;
use crate::ops::Op;

pub(super) async fn delete(op: Op) -> Result<Answer, Error> {
    let Named { profile } = op.params()?;
    let revision = op.records.remove_profile(&profile).await?;
    Ok(Answer::null().at(revision.0))
}
