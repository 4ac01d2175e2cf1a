//! `POST /nodes/{node}/lxc/{vmid}/snapshot`

use model::Error;
use node::tasks::LxcSnapshot;
use proto::wire::Answer;
use serde::Deserialize;

use super::Container;
use crate::ops::Op;
use crate::ops::snapshots::check_name;

/// Names that a snapshot cannot have.
const RESERVED: [&str; 2] = ["current", "vzdump"];

#[derive(Deserialize)]
struct Create {
    snapname: String,
    description: Option<String>,
}

pub(super) async fn snapshot(op: Op) -> Result<Answer, Error> {
    let vmid = Container::of(&op)?.vmid;
    let Create {
        snapname,
        description,
    } = op.params()?;
    check_name(&snapname, &RESERVED)?;
    op.records.lxc(vmid).await?;
    let description = description.filter(|text| !text.is_empty());
    let task = LxcSnapshot::new(vmid, snapname, description);
    op.context.submit(&op, vmid, task).await
}
