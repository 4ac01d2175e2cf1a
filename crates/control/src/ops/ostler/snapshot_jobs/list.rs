//! `GET /ostler/cluster/snapshot-jobs`

use model::Error;
use proto::wire::Answer;

use super::shown;
use crate::ops::Op;

pub(super) async fn list(op: Op) -> Result<Answer, Error> {
    let jobs = op.records.snapshot_jobs().await?;
    Ok(Answer::new(shown(&op, jobs).await?))
}
