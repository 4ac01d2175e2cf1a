//! `DELETE /ostler/cluster/snapshot-jobs/{id}`: the snapshots that it has made stay.

use model::Error;
use proto::wire::Answer;

use super::Named;
use crate::ops::Op;

pub(super) async fn delete(op: Op) -> Result<Answer, Error> {
    let Named { id } = op.params()?;
    let revision = op.records.remove_snapshot_job(&id).await?;
    Ok(Answer::null().at(revision.0))
}
