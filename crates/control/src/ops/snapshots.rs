//! What operations on snapshots share, of whatever guest.

use model::{Error, GuestRecord, Snapshot, VmId};
use node::digest;
use node::tasks::snapshot_of;
use proto::wire::Answer;
use serde_json::{Value, json};

use super::Op;

/// Refuses a name that a snapshot cannot have.
pub(super) fn check_name(name: &str, reserved: &[&str]) -> Result<(), Error> {
    let is_it = |reserved: &&&str| name.eq_ignore_ascii_case(reserved);
    match reserved.iter().find(is_it) {
        None => Ok(()),
        Some(reserved) => Err(Error::conflict(format!(
            "unable to use snapshot name '{reserved}' (reserved name)"
        ))),
    }
}

/// A snapshot in a list.
pub(super) fn row((name, snapshot): (&String, &Snapshot)) -> Value {
    let mut row = json!({
        "name": name,
        "description": snapshot.description.as_deref().unwrap_or_default(),
        "snaptime": snapshot.created,
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
pub(super) fn present(guest: &GuestRecord, running: bool) -> Value {
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

/// Changes what a snapshot is described as; without a description nothing changes.
pub(super) async fn describe(
    op: &Op,
    vmid: VmId,
    name: &str,
    description: Option<&str>,
) -> Result<Answer, Error> {
    let describe = |guest: &mut GuestRecord| {
        snapshot_of(guest, name)?;
        if let Some(snapshot) = guest.snapshots.get_mut(name)
            && let Some(text) = description
        {
            snapshot.description = Some(text.to_owned()).filter(|text| !text.is_empty());
        }
        Ok(())
    };
    let revision = op.records.change_guest(vmid, describe).await?;
    Ok(Answer::null().at(revision.0))
}
