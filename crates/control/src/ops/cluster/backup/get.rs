//! `GET /cluster/backup/{id}`

use model::Error;
use proto::wire::Answer;
use serde::Deserialize;

use super::no_such_job;
use crate::ops::Op;

#[derive(Deserialize)]
pub(in crate::ops::cluster) struct Job {
    pub(in crate::ops::cluster) id: String,
}

pub(super) async fn get(op: Op) -> Result<Answer, Error> {
    let Job { id } = op.params()?;
    Err(no_such_job(&id))
}
