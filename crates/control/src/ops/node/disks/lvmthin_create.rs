//! `POST /nodes/{node}/disks/lvmthin`

use model::Error;
use node::tasks::DiskLvmthinCreate;
use proto::wire::Answer;

use super::NewGroup;
use crate::ops::Op;

pub(super) async fn lvmthin_create(op: Op) -> Result<Answer, Error> {
    let wanted: NewGroup = op.params()?;
    let mut task = DiskLvmthinCreate::new(wanted.name.clone(), wanted.device, wanted.add_storage);
    task.check(&op.context.node).await?;
    op.context.submit(&op, wanted.name, task).await
}
