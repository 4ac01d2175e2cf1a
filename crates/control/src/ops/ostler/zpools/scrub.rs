//! `POST /ostler/nodes/{node}/pools/{name}/scrub`

use model::Error;
use node::tasks::{ScrubAction, ZpoolScrub};
use proto::wire::Answer;
use serde::Deserialize;

use super::Named;
use crate::ops::Op;

#[derive(Deserialize)]
struct Scrub {
    action: Option<ScrubAction>,
}

pub(super) async fn scrub(op: Op) -> Result<Answer, Error> {
    let Named { name } = op.params()?;
    let Scrub { action } = op.params()?;
    let mut task = ZpoolScrub::new(name.clone(), action.unwrap_or(ScrubAction::Start));
    task.check(&op.context.node).await?;
    op.context.submit(&op, name, task).await
}
