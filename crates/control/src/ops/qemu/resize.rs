//! `PUT /nodes/{node}/qemu/{vmid}/resize`

use model::Error;
use model::qemu::DriveSlot;
use node::snapshot_jobs::Change;
use node::tasks::{QemuResize, check_digest};
use proto::wire::Answer;
use serde::Deserialize;

use super::Guest;
use crate::ops::Op;
use crate::ops::before::{digest_since, snapshot_before};
use crate::ops::copies::{new_size, require_space_beside};

#[derive(Deserialize)]
struct Resize {
    disk: String,
    size: String,
    digest: Option<String>,
}

pub(super) async fn resize(op: Op) -> Result<Answer, Error> {
    let guest = Guest::of(&op)?;
    let Resize { disk, size, digest } = op.params()?;
    let unknown = |_| Error::invalid("disk", format!("'{disk}' has no size to change"));
    let slot: DriveSlot = disk.parse().map_err(unknown)?;
    let size = new_size(&size)?;
    let record = op.records.qemu(guest.vmid).await?.record.data;
    require_space_beside(&op, &record.config, &disk)?;
    check_digest(&record, digest.as_deref())?;
    let mut task = QemuResize::new(guest.vmid, slot, size, digest, guest.skips_lock());
    snapshot_before(&op, guest.vmid, Change::Resize, async || {
        task.check_disk(&record)
    })
    .await?;
    task.digest = digest_since(&op, &record, task.digest).await?;
    op.context.submit(&op, guest.vmid, task).await
}
