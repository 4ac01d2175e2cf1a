//! `DELETE /nodes/{node}/disks/lvmthin/{name}`

use model::{Error, StorageId};
use node::tasks::DiskLvmthinDelete;
use proto::wire::Answer;
use serde::Deserialize;

use crate::ops::Op;

#[derive(Deserialize)]
struct Delete {
    name: StorageId,
    #[serde(rename = "volume-group")]
    group: StorageId,
    #[serde(default, rename = "cleanup-config")]
    cleanup_config: bool,
    #[serde(default, rename = "cleanup-disks")]
    cleanup_disks: bool,
}

/// Whether there is such a thing, its task says, as with Proxmox VE.
pub(super) async fn lvmthin_delete(op: Op) -> Result<Answer, Error> {
    let wanted: Delete = op.params()?;
    let id = format!("{}-{}", wanted.group, wanted.name);
    let Delete { group, name, .. } = wanted;
    let task = DiskLvmthinDelete::new(group, name, wanted.cleanup_config, wanted.cleanup_disks);
    op.context.submit(&op, id, task).await
}
