//! `POST /nodes/{node}/lxc/{vmid}/template`

use model::Error;
use node::tasks::LxcTemplate;
use proto::wire::Answer;

use super::Container;
use crate::ops::Op;

/// Answers when it is one: there is no task to wait for in the answer.
pub(super) async fn template(op: Op) -> Result<Answer, Error> {
    let vmid = Container::of(&op)?.vmid;
    let guest = op.records.lxc(vmid).await?.record.data;
    let task = LxcTemplate::new(vmid);
    task.check(&op.context.node, &guest).await?;
    op.context.perform_listed(&op, vmid, task).await
}
