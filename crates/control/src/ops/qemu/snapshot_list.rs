//! `GET /nodes/{node}/qemu/{vmid}/snapshot`

use model::{Error, Snapshot};
use proto::wire::Answer;
use serde_json::Value;

use super::Guest;
use crate::ops::Op;
use crate::ops::snapshots::{present, row};

pub(super) async fn snapshot_list(op: Op) -> Result<Answer, Error> {
    let vmid = Guest::of(&op)?.vmid;
    let guest = op.records.qemu(vmid).await?.record.data;
    let running = op.context.node.running.is_running(vmid).await?;
    let mut rows: Vec<Value> = guest.snapshots.iter().map(with_memory).collect();
    rows.push(present(&guest, running));
    Ok(Answer::new(rows))
}

fn with_memory(entry: (&String, &Snapshot)) -> Value {
    let mut row = row(entry);
    row["vmstate"] = u8::from(entry.1.memory.is_some()).into();
    row
}
