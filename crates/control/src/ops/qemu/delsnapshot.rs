//! `DELETE /nodes/{node}/qemu/{vmid}/snapshot/{snapname}`

use model::Error;
use node::tasks::QemuDelsnapshot;
use proto::wire::Answer;
use serde::Deserialize;

use super::Guest;
use crate::ops::Op;

#[derive(Deserialize)]
struct Delete {
    snapname: String,
    force: Option<bool>,
}

pub(super) async fn delsnapshot(op: Op) -> Result<Answer, Error> {
    let vmid = Guest::of(&op)?.vmid;
    let Delete { snapname, force } = op.params()?;
    op.records.qemu(vmid).await?;
    let task = QemuDelsnapshot::new(vmid, snapname, force == Some(true));
    op.context.submit(&op, vmid, task).await
}
