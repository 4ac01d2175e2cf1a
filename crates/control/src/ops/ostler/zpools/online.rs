//! `POST /ostler/nodes/{node}/pools/{name}/online`

use model::Error;
use node::tasks::ZpoolOnline;
use proto::wire::Answer;
use serde::Deserialize;

use super::Named;
use crate::ops::Op;

#[derive(Deserialize)]
struct Online {
    device: String,
    #[serde(default)]
    expand: bool,
}

pub(super) async fn online(op: Op) -> Result<Answer, Error> {
    let Named { name } = op.params()?;
    let Online { device, expand } = op.params()?;
    let mut task = ZpoolOnline::new(name.clone(), device, expand);
    task.check(&op.context.node).await?;
    op.context.submit(&op, name, task).await
}
