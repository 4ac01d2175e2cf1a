//! Code that the operations on snapshots share.

use guest::qemu::RunningAs;
use model::Snapshot;
use serde_json::{Map, Value};

use super::config::shown;

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
