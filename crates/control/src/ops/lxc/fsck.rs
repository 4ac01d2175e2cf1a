//! `POST /ostler/nodes/{node}/lxc/{vmid}/fsck`

use model::Error;
use model::lxc::MountSlot;
use node::tasks::LxcFsck;
use proto::wire::Answer;
use serde::Deserialize;

use super::Container;
use crate::ops::Op;

#[derive(Deserialize)]
struct Fsck {
    device: Option<MountSlot>,
    force: Option<bool>,
}

pub(super) async fn fsck(op: Op) -> Result<Answer, Error> {
    let vmid = Container::of(&op)?.vmid;
    let wanted: Fsck = op.params()?;
    let guest = op.records.lxc(vmid).await?.record.data;
    let task = LxcFsck {
        vmid,
        slot: wanted.device.unwrap_or(MountSlot::Root),
        force: wanted.force == Some(true),
    };
    task.check(&op.context.node, &guest).await?;
    op.context.submit(&op, vmid, task).await
}
