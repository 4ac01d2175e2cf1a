//! `POST /nodes/{node}/lxc/{vmid}/status/start`

use model::Error;
use node::tasks::LxcStart;
use proto::wire::Answer;
use serde::Deserialize;

use super::Container;
use crate::ops::Op;

#[derive(Deserialize)]
struct Start {
    debug: Option<bool>,
}

pub(super) async fn start(op: Op) -> Result<Answer, Error> {
    let container = Container::of(&op)?;
    let Start { debug } = op.params()?;
    // A container that does not exist is refused at once, not by a task.
    op.records.lxc(container.vmid).await?;
    let is_debugged = debug == Some(true);
    let task = LxcStart::new(container.vmid, container.skips_lock(), is_debugged);
    op.context.submit(&op, container.vmid, task).await
}
