//! `POST /cluster/bulk-action/guest/shutdown`

use model::Error;
use node::tasks::BulkShutdown;
use proto::wire::Answer;
use serde::Deserialize;

use super::Guests;
use crate::ops::Op;

#[derive(Deserialize)]
struct Shutdown {
    #[serde(flatten)]
    guests: Guests,
    timeout: Option<u64>,
    #[serde(rename = "force-stop")]
    force_stop: Option<bool>,
}

/// The default time for a guest to shut down.
const TIMEOUT_S: u64 = 180;

pub(super) async fn shutdown(op: Op) -> Result<Answer, Error> {
    let shutdown: Shutdown = op.params()?;
    let task = BulkShutdown {
        chosen: shutdown.guests.into(),
        timeout_s: shutdown.timeout.unwrap_or(TIMEOUT_S),
        force_stop: shutdown.force_stop != Some(false),
        failed: Vec::new(),
    };
    op.context.submit(&op, "", task).await
}
