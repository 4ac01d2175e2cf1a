//! `GET /nodes/{node}/qemu/{vmid}/config`

use model::{Error, GuestConfig, PendingChange};
use node::digest;
use node::tasks::snapshot_of;
use proto::wire::Answer;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::Guest;
use super::snapshots::of_snapshot;
use crate::ops::Op;

/// Replaces secrets in answers.
pub(super) const MASKED: &str = "**********";

/// Options as callers see them.
pub(super) fn shown(config: &GuestConfig) -> Map<String, Value> {
    let options = config.0.iter();
    options
        .map(|(name, value)| (name.clone(), masked(name, value)))
        .collect()
}

pub(super) fn masked(name: &str, value: &Value) -> Value {
    if name == "cipassword" {
        MASKED.into()
    } else {
        value.clone()
    }
}

#[derive(Deserialize)]
struct Config {
    /// Only values in use by the running guest, without pending changes.
    current: Option<bool>,
    /// The configuration in this snapshot.
    snapshot: Option<String>,
}

pub(super) async fn config(op: Op) -> Result<Answer, Error> {
    let vmid = Guest::of(&op)?.vmid;
    let Config { current, snapshot } = op.params()?;
    let guest = op.records.qemu(vmid).await?.record.data;
    if let Some(name) = snapshot {
        if current == Some(true) {
            let text = "cannot use 'snapshot' parameter with 'current'";
            return Err(Error::invalid("snapshot", text));
        }
        let mut shown = of_snapshot(snapshot_of(&guest, &name)?);
        shown.insert("digest".to_owned(), digest(&guest).into());
        return Ok(Answer::new(shown));
    }
    let mut shown = shown(&guest.config);
    if current != Some(true) {
        for (name, change) in &guest.pending {
            match change {
                PendingChange::Set(value) => shown.insert(name.clone(), masked(name, value)),
                PendingChange::Delete { .. } => shown.remove(name),
            };
        }
    }
    shown.insert("digest".to_owned(), digest(&guest).into());
    Ok(Answer::new(shown))
}
