//! `POST /nodes/{node}/stopall`

use model::Error;
use node::tasks::NodeStopall;
use proto::wire::Answer;
use serde::Deserialize;

use super::all::chosen;
use crate::ops::Op;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Stop {
    force_stop: Option<bool>,
    max_workers: Option<usize>,
    timeout: Option<u64>,
    vms: Option<String>,
}

/// The default time for a guest to shut down.
const TIMEOUT_S: u64 = 180;

pub(super) async fn stopall(op: Op) -> Result<Answer, Error> {
    let stop: Stop = op.params()?;
    let task = NodeStopall {
        chosen: chosen(stop.vms, stop.max_workers),
        timeout_s: stop.timeout.unwrap_or(TIMEOUT_S),
        force_stop: stop.force_stop != Some(false),
    };
    op.context.submit(&op, "", task).await
}
