//! `GET /cluster/jobs/realm-sync/{id}`

use model::Error;
use proto::wire::Answer;

use crate::ops::Op;
use crate::ops::cluster::{Job, no_such_job};

pub(super) async fn realm_sync_get(op: Op) -> Result<Answer, Error> {
    let Job { id } = op.params()?;
    Err(no_such_job(&id))
}
