//! `POST /nodes/{node}/qemu/{vmid}/template`

use model::Error;
use model::qemu::DriveSlot;
use node::tasks::QemuTemplate;
use proto::wire::Answer;
use serde::Deserialize;

use super::Guest;
use crate::ops::Op;

#[derive(Deserialize)]
struct Template {
    disk: Option<DriveSlot>,
}

pub(super) async fn template(op: Op) -> Result<Answer, Error> {
    let vmid = Guest::of(&op)?.vmid;
    let Template { disk } = op.params()?;
    let guest = op.records.qemu(vmid).await?.record.data;
    let task = QemuTemplate::new(vmid, disk);
    task.check(&op.context.node, &guest).await?;
    op.context.submit(&op, vmid, task).await
}
