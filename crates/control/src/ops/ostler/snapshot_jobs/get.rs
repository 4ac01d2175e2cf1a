//! `GET /ostler/cluster/snapshot-jobs/{id}`

use model::Error;
use proto::wire::Answer;

use super::{Named, shown};
use crate::ops::Op;

pub(super) async fn get(op: Op) -> Result<Answer, Error> {
    let Named { id } = op.params()?;
    let job = op.records.snapshot_job(&id).await?;
    let rows = shown(&op, vec![job]).await?;
    Ok(Answer::new(rows.into_iter().next()))
}
