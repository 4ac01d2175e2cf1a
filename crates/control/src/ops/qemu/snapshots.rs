//! `/nodes/{node}/qemu/{vmid}/snapshot`

use guest::qemu::RunningAs;
use model::{Error, GuestRecord, Snapshot};
use node::digest;
use node::tasks::{QemuDelsnapshot, QemuRollback, QemuSnapshot, snapshot_of};
use proto::wire::Answer;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::Guest;
use super::config::shown;
use crate::ops::Op;

/// Names of what is no snapshot.
const RESERVED: [&str; 2] = ["current", "pending"];

#[derive(Deserialize)]
struct Named {
    snapname: String,
}

pub(super) async fn list(op: Op) -> Result<Answer, Error> {
    let vmid = Guest::of(&op)?.vmid;
    let guest = op.context.node.records.qemu(vmid).await?.record.data;
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

/// What comes after all snapshots.
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

#[derive(Deserialize)]
struct Create {
    snapname: String,
    description: Option<String>,
    vmstate: Option<bool>,
}

pub(super) async fn create(op: Op) -> Result<Answer, Error> {
    let vmid = Guest::of(&op)?.vmid;
    let Create {
        snapname,
        description,
        vmstate,
    } = op.params()?;
    let is_it = |reserved: &&&str| snapname.eq_ignore_ascii_case(reserved);
    if let Some(reserved) = RESERVED.iter().find(is_it) {
        let text = format!("unable to use snapshot name '{reserved}' (reserved name)");
        return Err(Error::conflict(text));
    }
    op.context.node.records.qemu(vmid).await?;
    let description = description.filter(|text| !text.is_empty());
    let task = QemuSnapshot::new(vmid, snapname, description, vmstate == Some(true));
    op.context.submit(&op, vmid, task).await
}

#[derive(Deserialize)]
struct Delete {
    snapname: String,
    force: Option<bool>,
}

pub(super) async fn delete(op: Op) -> Result<Answer, Error> {
    let vmid = Guest::of(&op)?.vmid;
    let Delete { snapname, force } = op.params()?;
    op.context.node.records.qemu(vmid).await?;
    let task = QemuDelsnapshot::new(vmid, snapname, force == Some(true));
    op.context.submit(&op, vmid, task).await
}

#[derive(Deserialize)]
struct Rollback {
    snapname: String,
    start: Option<bool>,
}

pub(super) async fn rollback(op: Op) -> Result<Answer, Error> {
    let vmid = Guest::of(&op)?.vmid;
    let Rollback { snapname, start } = op.params()?;
    op.context.node.records.qemu(vmid).await?;
    let task = QemuRollback::new(vmid, snapname, start == Some(true));
    op.context.submit(&op, vmid, task).await
}

pub(super) async fn config(op: Op) -> Result<Answer, Error> {
    let vmid = Guest::of(&op)?.vmid;
    let Named { snapname } = op.params()?;
    let guest = op.context.node.records.qemu(vmid).await?.record.data;
    Ok(Answer::new(of_snapshot(snapshot_of(&guest, &snapname)?)))
}

/// A snapshot's options, and what is known of it besides.
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
struct Update {
    snapname: String,
    description: Option<String>,
}

pub(super) async fn update(op: Op) -> Result<Answer, Error> {
    let vmid = Guest::of(&op)?.vmid;
    let Update {
        snapname,
        description,
    } = op.params()?;
    let describe = |guest: &mut GuestRecord| {
        snapshot_of(guest, &snapname)?;
        if let Some(snapshot) = guest.snapshots.get_mut(&snapname)
            && let Some(text) = &description
        {
            snapshot.description = Some(text.clone()).filter(|text| !text.is_empty());
        }
        Ok(())
    };
    let records = &op.context.node.records;
    let revision = records.change_guest(vmid, describe).await?;
    Ok(Answer::null().at(revision.0))
}
