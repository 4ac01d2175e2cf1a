//! `GET /cluster/backup/{id}/included_volumes`

use model::Error;
use proto::wire::Answer;

use super::get::Job;
use super::no_such_job;
use crate::ops::Op;

pub(super) async fn included_volumes(op: Op) -> Result<Answer, Error> {
    let Job { id } = op.params()?;
    Err(no_such_job(&id))
}
