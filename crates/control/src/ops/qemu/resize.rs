//! `PUT /nodes/{node}/qemu/{vmid}/resize`

use model::qemu::DriveSlot;
use model::{ByteSize, Error};
use node::tasks::{NewSize, QemuResize};
use proto::wire::Answer;
use serde::Deserialize;

use super::Guest;
use super::clones::require_space_beside;
use crate::ops::Op;

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
    let bytes = |text: &str| -> Result<ByteSize, Error> {
        text.parse()
            .map_err(|error: model::SizeError| Error::invalid("size", error.to_string()))
    };
    let size = match size.strip_prefix('+') {
        Some(more) => NewSize::LargerBy(bytes(more)?),
        None => NewSize::Exactly(bytes(&size)?),
    };
    let entry = op.records.qemu(guest.vmid).await?;
    require_space_beside(&op, &entry.record.data.config, &disk)?;
    let task = QemuResize::new(guest.vmid, slot, size, digest, guest.skips_lock());
    op.context.submit(&op, guest.vmid, task).await
}
