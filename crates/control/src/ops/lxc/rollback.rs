//! `POST /nodes/{node}/lxc/{vmid}/snapshot/{snapname}/rollback`

use model::Error;
use node::tasks::LxcRollback;
use proto::wire::Answer;
use serde::Deserialize;

use super::Container;
use crate::ops::Op;

#[derive(Deserialize)]
struct Rollback {
    snapname: String,
    start: Option<bool>,
}

pub(super) async fn rollback(op: Op) -> Result<Answer, Error> {
    let vmid = Container::of(&op)?.vmid;
    let Rollback { snapname, start } = op.params()?;
    op.records.lxc(vmid).await?;
    let task = LxcRollback::new(vmid, snapname, start == Some(true));
    op.context.submit(&op, vmid, task).await
}
