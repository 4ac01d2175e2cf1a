//! `DELETE /nodes/{node}/storage/{storage}/prunebackups`

use model::{Error, Privilege};
use node::tasks::BackupPrune;
use proto::wire::Answer;

use super::backup_prunable::pruning;
use crate::ops::Op;

/// Who may remove backups of one guest needs less than who may remove all.
pub(super) async fn backup_prune(op: Op) -> Result<Answer, Error> {
    let pruning = pruning(&op)?;
    let storage = &pruning.storage;
    let access = op.context.authority.access();
    let view = access.view(op.identity()?, op.context.authority.now());
    let path = format!("/storage/{storage}");
    match pruning.vmid {
        Some(vmid) => {
            view.require(&path, &[Privilege::DatastoreAllocateSpace])?;
            view.require(&format!("/vms/{vmid}"), &[Privilege::VmBackup])?;
        }
        None => view.require(&path, &[Privilege::DatastoreAllocate])?,
    }
    let owner = pruning.vmid.map(|vmid| format!("{vmid}@"));
    let id = format!("{}{storage}", owner.unwrap_or_default());
    op.context.submit(&op, id, BackupPrune::new(pruning)).await
}
