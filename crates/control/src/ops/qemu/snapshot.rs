//! `POST /nodes/{node}/qemu/{vmid}/snapshot`

use model::Error;
use node::tasks::QemuSnapshot;
use proto::wire::Answer;
use serde::Deserialize;

use super::Guest;
use crate::ops::Op;

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
    let is_it = |reserved: &&&str| snapname.eq_ignore_ascii_case(reserved);
    if let Some(reserved) = RESERVED.iter().find(is_it) {
        let text = format!("unable to use snapshot name '{reserved}' (reserved name)");
        return Err(Error::conflict(text));
    }
    op.records.qemu(vmid).await?;
    let description = description.filter(|text| !text.is_empty());
    let task = QemuSnapshot::new(vmid, snapname, description, vmstate == Some(true));
    op.context.submit(&op, vmid, task).await
}
