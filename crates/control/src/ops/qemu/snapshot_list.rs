//! `GET /nodes/{node}/qemu/{vmid}/snapshot`

use model::{Error, GuestRecord, Snapshot};
use node::digest;
use proto::wire::Answer;
use serde_json::{Value, json};

use super::Guest;
use crate::ops::Op;

pub(super) async fn snapshot_list(op: Op) -> Result<Answer, Error> {
    let vmid = Guest::of(&op)?.vmid;
    let guest = op.records.qemu(vmid).await?.record.data;
    let running = op.context.node.running.is_running(vmid).await?;
    let mut rows: Vec<Value> = guest.snapshots.iter().map(row).collect();
    rows.push(present(&guest, running));
    Ok(Answer::new(rows))
}

fn row((name, snapshot): (&String, &Snapshot)) -> Value {
    let mut row = json!({
        "name": name,
        "description": snapshot.description.as_deref().unwrap_or_default(),
        "snaptime": snapshot.created,
        "vmstate": u8::from(snapshot.memory.is_some()),
    });
    if let Some(parent) = &snapshot.parent {
        row["parent"] = parent.as_str().into();
    }
    if let Some(state) = snapshot.state {
        row["snapstate"] = state.as_str().into();
    }
    row
}

/// The current state, listed after all snapshots.
fn present(guest: &GuestRecord, running: bool) -> Value {
    let mut row = json!({
        "name": "current",
        "description": "You are here!",
        "digest": digest(guest),
        "running": u8::from(running),
    });
    if let Some(parent) = guest.config.text("parent") {
        row["parent"] = parent.into();
    }
    row
}
