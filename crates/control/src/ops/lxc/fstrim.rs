//! `POST /ostler/nodes/{node}/lxc/{vmid}/fstrim`

use model::Error;
use node::tasks::LxcFstrim;
use proto::wire::Answer;
use serde::Deserialize;

use super::Container;
use crate::ops::Op;

#[derive(Deserialize)]
struct Fstrim {
    #[serde(rename = "ignore-mountpoints")]
    ignore_mount_points: Option<bool>,
}

pub(super) async fn fstrim(op: Op) -> Result<Answer, Error> {
    let vmid = Container::of(&op)?.vmid;
    let wanted: Fstrim = op.params()?;
    op.records.lxc(vmid).await?;
    let task = LxcFstrim {
        vmid,
        ignore_mount_points: wanted.ignore_mount_points == Some(true),
    };
    op.context.submit(&op, vmid, task).await
}
