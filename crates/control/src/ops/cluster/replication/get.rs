//! `GET /cluster/replication/{id}`

use model::Error;
use proto::wire::Answer;

use super::no_such_job;
use crate::ops::Op;
use crate::ops::cluster::Job;

pub(super) async fn get(op: Op) -> Result<Answer, Error> {
    let Job { id } = op.params()?;
    Err(no_such_job(&id))
}
