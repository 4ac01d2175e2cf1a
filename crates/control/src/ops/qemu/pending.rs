//! `GET /nodes/{node}/qemu/{vmid}/pending`

use std::collections::BTreeSet;

use model::{Error, GuestRecord, PendingChange};
use node::digest;
use proto::wire::Answer;
use serde_json::{Value, json};

use super::Guest;
use super::config::masked;
use crate::ops::Op;

pub(super) async fn pending(op: Op) -> Result<Answer, Error> {
    let vmid = Guest::of(&op)?.vmid;
    let guest = op.records.qemu(vmid).await?.record.data;
    Ok(Answer::new(rows(&guest)))
}

/// The options of a guest of whatever kind, with what is pending.
pub(in crate::ops) fn rows(guest: &GuestRecord) -> Vec<Value> {
    let names: BTreeSet<&String> = guest.config.0.keys().chain(guest.pending.keys()).collect();
    let mut rows: Vec<Value> = names.into_iter().map(|name| row(guest, name)).collect();
    rows.push(json!({"key": "digest", "value": digest(guest)}));
    rows
}

fn row(guest: &GuestRecord, name: &str) -> Value {
    let mut row = json!({"key": name});
    if let Some(value) = guest.config.0.get(name) {
        row["value"] = masked(name, value);
    }
    match guest.pending.get(name) {
        Some(PendingChange::Set(value)) => row["pending"] = masked(name, value),
        Some(PendingChange::Delete { force }) => row["delete"] = (1 + u8::from(*force)).into(),
        None => {}
    }
    row
}
