//! `POST /nodes/{node}/disks/lvm`

use model::Error;
use node::tasks::DiskLvmCreate;
use proto::wire::Answer;

use super::NewGroup;
use crate::ops::Op;

pub(super) async fn lvm_create(op: Op) -> Result<Answer, Error> {
    let wanted: NewGroup = op.params()?;
    let mut task = DiskLvmCreate::new(wanted.name.clone(), wanted.device, wanted.add_storage);
    task.check(&op.context.node).await?;
    op.context.submit(&op, wanted.name, task).await
}
