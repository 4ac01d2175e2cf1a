//! `GET /nodes/{node}/disks/lvm`

use model::Error;
use node::host::pools::lvm::{self, Group};
use proto::wire::Answer;
use serde_json::{Value, json};

use crate::ops::Op;

/// A tree: volume groups, and the disks of each.
pub(super) async fn lvm_list(op: Op) -> Result<Answer, Error> {
    let groups = lvm::groups(&op.context.node.host).await?;
    let children: Vec<Value> = groups.iter().map(row).collect();
    Ok(Answer::new(json!({"leaf": 0, "children": children})))
}

fn row(group: &Group) -> Value {
    let disks = group.disks.iter();
    let disks = disks
        .map(|disk| json!({"leaf": 1, "name": disk.path, "size": disk.size, "free": disk.free}));
    json!({
        "leaf": 0,
        "name": group.name,
        "size": group.size,
        "free": group.free,
        "lvcount": group.volumes,
        "children": disks.collect::<Vec<Value>>(),
    })
}
