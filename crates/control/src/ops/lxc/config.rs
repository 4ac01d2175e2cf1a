//! `GET /nodes/{node}/lxc/{vmid}/config`

use model::{Error, GuestConfig, GuestRecord, PendingChange, Privilege, Snapshot};
use node::digest;
use node::tasks::snapshot_of;
use proto::wire::Answer;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::Container;
use crate::ops::Op;

#[derive(Deserialize)]
struct Config {
    /// Only values in use by the running container, without pending changes.
    current: Option<bool>,
    /// The configuration in this snapshot.
    snapshot: Option<String>,
}

/// Whether the caller may see what is secret in a container's environment.
pub(super) fn sees_environment(op: &Op, guest: &GuestRecord) -> Result<bool, Error> {
    let access = op.context.authority.access();
    let view = access.view(op.identity()?, op.context.authority.now());
    let path = format!("/vms/{}", guest.vmid);
    Ok(view.is_root() || view.has(&path, Privilege::VmConfigOptions))
}

/// A container's options as callers see them.
fn shown(config: &GuestConfig) -> Map<String, Value> {
    let mut shown: Map<String, Value> = config.0.clone().into_iter().collect();
    end_description(shown.get_mut("description"));
    shown
}

/// A container's description ends with the end of a line, unlike a virtual machine's.
pub(super) fn end_description(description: Option<&mut Value>) {
    if let Some(Value::String(text)) = description
        && !text.is_empty()
        && !text.ends_with('\n')
    {
        text.push('\n');
    }
}

/// A snapshot's options and its other fields.
pub(super) fn of_snapshot(snapshot: &Snapshot) -> Map<String, Value> {
    let mut options = shown(&snapshot.config);
    options.insert("snaptime".to_owned(), snapshot.created.into());
    if let Some(description) = &snapshot.description {
        options.insert("description".to_owned(), description.as_str().into());
        end_description(options.get_mut("description"));
    }
    if let Some(parent) = &snapshot.parent {
        options.insert("parent".to_owned(), parent.as_str().into());
    }
    if let Some(state) = snapshot.state {
        options.insert("snapstate".to_owned(), state.as_str().into());
    }
    options
}

pub(super) async fn config(op: Op) -> Result<Answer, Error> {
    let vmid = Container::of(&op)?.vmid;
    let Config { current, snapshot } = op.params()?;
    let guest = op.records.lxc(vmid).await?.record.data;
    let mut shown = match snapshot {
        Some(name) => of_snapshot(snapshot_of(&guest, &name)?),
        None if current == Some(true) => shown(&guest.config),
        None => shown(&awaited(&guest)),
    };
    if !sees_environment(&op, &guest)? {
        shown.remove("env");
    }
    shown.insert("digest".to_owned(), digest(&guest).into());
    Ok(Answer::new(shown))
}

/// The configuration with what waits for the next start.
fn awaited(guest: &GuestRecord) -> GuestConfig {
    let mut config = guest.config.clone();
    for (name, change) in &guest.pending {
        match change {
            PendingChange::Set(value) => config.set(name.as_str(), value.clone()),
            PendingChange::Delete { .. } => drop(config.0.remove(name)),
        }
    }
    config
}
