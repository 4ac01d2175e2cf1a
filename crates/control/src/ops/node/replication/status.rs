//! `GET /nodes/{node}/replication/{id}/status`

use model::Error;
use proto::wire::Answer;

use super::Job;
use crate::ops::Op;
use crate::ops::cluster::replication::no_such_job;

pub(super) async fn status(op: Op) -> Result<Answer, Error> {
    let Job { id } = op.params()?;
    Err(no_such_job(&id))
}
