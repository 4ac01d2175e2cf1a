//! `POST /nodes/{node}/qemu/{vmid}/snapshot`

use model::Error;
use node::tasks::QemuSnapshot;
use proto::wire::Answer;
use serde::Deserialize;

use super::Guest;
use crate::ops::Op;
use crate::ops::snapshots::check_name;

/// Names that a snapshot cannot have.
const RESERVED: [&str; 2] = ["current", "pending"];

#[derive(Deserialize)]
struct Create {
    snapname: String,
    description: Option<String>,
    vmstate: Option<bool>,
}

pub(super) async fn snapshot(op: Op) -> Result<Answer, Error> {
    let vmid = Guest::of(&op)?.vmid;
    let Create {
        snapname,
        description,
        vmstate,
    } = op.params()?;
    check_name(&snapname, &RESERVED)?;
    op.records.qemu(vmid).await?;
    let description = description.filter(|text| !text.is_empty());
    let task = QemuSnapshot::new(vmid, snapname, description, vmstate == Some(true));
    op.context.submit(&op, vmid, task).await
}
