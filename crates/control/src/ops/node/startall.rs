//! `POST /nodes/{node}/startall`

use model::Error;
use node::tasks::NodeStartall;
use proto::wire::Answer;
use serde::Deserialize;

use super::all::chosen;
use crate::ops::Op;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Start {
    force: Option<bool>,
    max_workers: Option<usize>,
    vms: Option<String>,
}

pub(super) async fn startall(op: Op) -> Result<Answer, Error> {
    let start: Start = op.params()?;
    let task = NodeStartall {
        chosen: chosen(start.vms, start.max_workers),
        force: start.force == Some(true),
    };
    op.context.submit(&op, "", task).await
}
