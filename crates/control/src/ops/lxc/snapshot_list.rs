//! `GET /nodes/{node}/lxc/{vmid}/snapshot`

use model::Error;
use proto::wire::Answer;
use serde_json::Value;

use super::Container;
use super::config::end_description;
use crate::ops::Op;
use crate::ops::snapshots::{present, row};

pub(super) async fn snapshot_list(op: Op) -> Result<Answer, Error> {
    let vmid = Container::of(&op)?.vmid;
    let guest = op.records.lxc(vmid).await?.record.data;
    let running = op.context.node.running.is_running(vmid).await?;
    let mut rows: Vec<Value> = guest.snapshots.iter().map(row).collect();
    for row in &mut rows {
        end_description(row.get_mut("description"));
    }
    rows.push(present(&guest, running));
    Ok(Answer::new(rows))
}
