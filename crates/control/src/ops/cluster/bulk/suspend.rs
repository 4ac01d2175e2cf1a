//! `POST /cluster/bulk-action/guest/suspend`

use model::{Error, StorageId};
use node::tasks::{BulkSuspend, Chosen};
use proto::wire::Answer;
use serde::Deserialize;

use super::Guests;
use crate::ops::Op;
use crate::ops::volume_access::require_space;

#[derive(Deserialize)]
struct Suspend {
    #[serde(flatten)]
    guests: Guests,
    #[serde(rename = "to-disk")]
    to_disk: Option<bool>,
    statestorage: Option<StorageId>,
}

pub(super) async fn suspend(op: Op) -> Result<Answer, Error> {
    let suspend: Suspend = op.params()?;
    let task = BulkSuspend {
        chosen: suspend.guests.into(),
        to_disk: suspend.to_disk == Some(true),
        storage: suspend.statestorage,
        failed: Vec::new(),
    };
    if task.to_disk {
        require_space(
            &op,
            storages(&op, &task.chosen, &task.storage)
                .await?
                .into_iter(),
        )?;
    }
    op.context.submit(&op, "", task).await
}

/// Where the memory of the guests goes.
async fn storages(
    op: &Op,
    chosen: &Chosen,
    given: &Option<StorageId>,
) -> Result<Vec<StorageId>, Error> {
    if let Some(storage) = given {
        return Ok(vec![storage.clone()]);
    }
    let mut storages = Vec::new();
    for guest in op.records.guests().await? {
        let guest = guest?;
        if chosen.includes(guest.vmid) {
            // A guest without a disk has no place for its memory, which its own task reports.
            storages.extend(op.context.node.memory_storage(&guest).await.ok());
        }
    }
    Ok(storages)
}
