//! `PUT /nodes/{node}/lxc/{vmid}/resize`

use model::Error;
use model::lxc::MountSlot;
use node::tasks::LxcResize;
use proto::wire::Answer;
use serde::Deserialize;

use super::Container;
use crate::ops::Op;
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
    let task = LxcResize::new(vmid, disk, size, digest);
    task.check(&op.context.node, &guest).await?;
    op.context.submit(&op, vmid, task).await
}
