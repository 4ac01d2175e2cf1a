//! `PUT /nodes/{node}/lxc/{vmid}/resize`

use model::Error;
use model::lxc::MountSlot;
use node::snapshot_jobs::Change;
use node::tasks::{LxcResize, check_digest};
use proto::wire::Answer;
use serde::Deserialize;

use super::Container;
use crate::ops::Op;
use crate::ops::before::{digest_since, snapshot_before};
use crate::ops::copies::{new_size, require_space_beside};

#[derive(Deserialize)]
struct Resize {
    disk: MountSlot,
    size: String,
    digest: Option<String>,
}

pub(super) async fn resize(op: Op) -> Result<Answer, Error> {
    let vmid = Container::of(&op)?.vmid;
    let Resize { disk, size, digest } = op.params()?;
    let size = new_size(&size)?;
    let guest = op.records.lxc(vmid).await?.record.data;
    require_space_beside(&op, &guest.config, &disk.to_string())?;
    let mut task = LxcResize::new(vmid, disk, size, digest);
    task.check(&op.context.node, &guest).await?;
    check_digest(&guest, task.digest.as_deref())?;
    snapshot_before(&op, vmid, Change::Resize, async || Ok(())).await?;
    task.digest = digest_since(&op, &guest, task.digest).await?;
    op.context.submit(&op, vmid, task).await
}
