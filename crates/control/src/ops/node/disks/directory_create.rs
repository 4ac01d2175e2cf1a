//! `POST /nodes/{node}/disks/directory`

use model::{Error, StorageId};
use node::tasks::{DiskDirectoryCreate, FileSystem};
use proto::wire::Answer;
use serde::Deserialize;

use crate::ops::Op;

#[derive(Deserialize)]
struct Create {
    name: StorageId,
    device: String,
    #[serde(default)]
    filesystem: FileSystem,
    #[serde(default)]
    add_storage: bool,
}

pub(super) async fn directory_create(op: Op) -> Result<Answer, Error> {
    let wanted: Create = op.params()?;
    let Create { name, device, .. } = wanted;
    let id = name.to_string();
    let mut task = DiskDirectoryCreate::new(name, device, wanted.filesystem, wanted.add_storage);
    task.check(&op.context.node).await?;
    op.context.submit(&op, id, task).await
}
