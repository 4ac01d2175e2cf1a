//! `POST /nodes/{node}/qemu/{vmid}/snapshot/{snapname}/rollback`

use model::Error;
use node::tasks::QemuRollback;
use proto::wire::Answer;
use serde::Deserialize;

use super::Guest;
use crate::ops::Op;

#[derive(Deserialize)]
struct Rollback {
    snapname: String,
    start: Option<bool>,
}

pub(super) async fn rollback(op: Op) -> Result<Answer, Error> {
    let vmid = Guest::of(&op)?.vmid;
    let Rollback { snapname, start } = op.params()?;
    op.records.qemu(vmid).await?;
    let task = QemuRollback::new(vmid, snapname, start == Some(true));
    op.context.submit(&op, vmid, task).await
}
