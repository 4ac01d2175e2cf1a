//! `POST /nodes/{node}/disks/lvmthin`

use model::{Error, StorageId};
use node::tasks::DiskLvmthinCreate;
use proto::wire::Answer;
use serde::Deserialize;

use crate::ops::Op;

#[derive(Deserialize)]
struct Create {
    name: StorageId,
    device: String,
    #[serde(default)]
    add_storage: bool,
}

pub(super) async fn lvmthin_create(op: Op) -> Result<Answer, Error> {
    let wanted: Create = op.params()?;
    let mut task = DiskLvmthinCreate::new(wanted.name.clone(), wanted.device, wanted.add_storage);
    task.check(&op.context.node).await?;
    op.context.submit(&op, wanted.name, task).await
}
