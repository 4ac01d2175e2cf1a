//! `DELETE /nodes/{node}/lxc/{vmid}/snapshot/{snapname}`

use model::Error;
use node::tasks::LxcDelsnapshot;
use proto::wire::Answer;
use serde::Deserialize;

use super::Container;
use crate::ops::Op;

#[derive(Deserialize)]
struct Delete {
    snapname: String,
    force: Option<bool>,
}

pub(super) async fn delsnapshot(op: Op) -> Result<Answer, Error> {
    let vmid = Container::of(&op)?.vmid;
    let Delete { snapname, force } = op.params()?;
    op.records.lxc(vmid).await?;
    let task = LxcDelsnapshot::new(vmid, snapname, force == Some(true));
    op.context.submit(&op, vmid, task).await
}
