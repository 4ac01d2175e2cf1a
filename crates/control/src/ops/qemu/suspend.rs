//! `POST /nodes/{node}/qemu/{vmid}/status/suspend`

use model::{Error, StorageId};
use node::tasks::{QemuSuspend, QemuSuspendToDisk};
use proto::wire::Answer;
use serde::Deserialize;

use super::Guest;
use super::power::tell;
use crate::ops::Op;
use crate::ops::volume_access::require_space;

#[derive(Deserialize)]
struct Suspend {
    todisk: Option<bool>,
    statestorage: Option<StorageId>,
}

pub(super) async fn suspend(op: Op) -> Result<Answer, Error> {
    let guest = Guest::of(&op)?;
    let Suspend {
        todisk,
        statestorage,
    } = op.params()?;
    if todisk != Some(true) {
        return tell(op, QemuSuspend::new).await;
    }
    op.require_quorum()?;
    let record = op.records.qemu(guest.vmid).await?.record.data;
    let storage = match &statestorage {
        Some(storage) => storage.clone(),
        None => op.context.node.memory_storage(&record).await?,
    };
    require_space(&op, std::iter::once(storage))?;
    let skip_lock = guest.skips_lock();
    let task = |vmid| QemuSuspendToDisk::new(vmid, statestorage, skip_lock);
    tell(op, task).await
}
