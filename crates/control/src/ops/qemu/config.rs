//! `GET /nodes/{node}/qemu/{vmid}/config`

use guest::qemu::RunningAs;
use model::{Error, GuestConfig, PendingChange, Snapshot};
use node::digest;
use node::tasks::snapshot_of;
use proto::wire::Answer;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::Guest;
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

/// A snapshot's options and its other fields.
pub(super) fn of_snapshot(snapshot: &Snapshot) -> Map<String, Value> {
    let mut options = shown(&snapshot.config);
    let mut put = |name: &str, value: Value| options.insert(name.to_owned(), value);
    put("snaptime", snapshot.created.into());
    if let Some(description) = &snapshot.description {
        put("description", description.as_str().into());
    }
    if let Some(parent) = &snapshot.parent {
        put("parent", parent.as_str().into());
    }
    if let Some(state) = snapshot.state {
        put("snapstate", state.as_str().into());
    }
    let Some(memory) = &snapshot.memory else {
        return options;
    };
    put("vmstate", memory.volume.to_string().into());
    if let Ok(machine) = serde_json::from_value::<RunningAs>(memory.running_as.clone()) {
        put("runningmachine", machine.machine.into());
        put("runningcpu", machine.cpu.into());
    }
    options
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
