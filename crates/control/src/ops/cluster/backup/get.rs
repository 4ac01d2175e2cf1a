//! `GET /cluster/backup/{id}`

use model::Error;
use proto::wire::Answer;

use crate::ops::Op;
use crate::ops::cluster::{Job, no_such_job};

pub(super) async fn get(op: Op) -> Result<Answer, Error> {
    let Job { id } = op.params()?;
    Err(no_such_job(&id))
}
