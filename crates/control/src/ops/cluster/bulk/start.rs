//! `POST /cluster/bulk-action/guest/start`

use model::Error;
use node::tasks::BulkStart;
use proto::wire::Answer;
use serde::Deserialize;

use super::Guests;
use crate::ops::Op;

#[derive(Deserialize)]
struct Start {
    #[serde(flatten)]
    guests: Guests,
    timeout: Option<u64>,
}

pub(super) async fn start(op: Op) -> Result<Answer, Error> {
    let start: Start = op.params()?;
    let task = BulkStart {
        chosen: start.guests.into(),
        timeout_s: start.timeout,
        failed: Vec::new(),
    };
    op.context.submit(&op, "", task).await
}
