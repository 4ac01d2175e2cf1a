//! `DELETE /nodes/{node}/disks/lvm/{name}`

use model::Error;
use node::tasks::DiskLvmDelete;
use proto::wire::Answer;

use super::Removal;
use crate::ops::Op;

/// Whether there is such a thing, its task says, as with Proxmox VE.
pub(super) async fn lvm_delete(op: Op) -> Result<Answer, Error> {
    let wanted: Removal = op.params()?;
    let (config, disks) = (wanted.cleanup_config, wanted.cleanup_disks);
    let task = DiskLvmDelete::new(wanted.name.clone(), config, disks);
    op.context.submit(&op, wanted.name, task).await
}
