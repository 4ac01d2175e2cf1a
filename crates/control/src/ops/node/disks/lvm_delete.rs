//! `DELETE /nodes/{node}/disks/lvm/{name}`

use model::{Error, StorageId};
use node::tasks::DiskLvmDelete;
use proto::wire::Answer;
use serde::Deserialize;

use crate::ops::Op;

#[derive(Deserialize)]
struct Delete {
    name: StorageId,
    #[serde(default, rename = "cleanup-config")]
    cleanup_config: bool,
    #[serde(default, rename = "cleanup-disks")]
    cleanup_disks: bool,
}

/// Whether there is such a thing, its task says, as with Proxmox VE.
pub(super) async fn lvm_delete(op: Op) -> Result<Answer, Error> {
    let wanted: Delete = op.params()?;
    let (config, disks) = (wanted.cleanup_config, wanted.cleanup_disks);
    let task = DiskLvmDelete::new(wanted.name.clone(), config, disks);
    op.context.submit(&op, wanted.name, task).await
}
