//! `GET /nodes/{node}/lxc/{vmid}/config`

use model::{Error, GuestRecord, PendingChange, Privilege};
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

pub(super) async fn config(op: Op) -> Result<Answer, Error> {
    let vmid = Container::of(&op)?.vmid;
    let Config { current, snapshot } = op.params()?;
    let guest = op.records.lxc(vmid).await?.record.data;
    let mut shown: Map<String, Value> = match snapshot {
        Some(name) => {
            let snapshot = snapshot_of(&guest, &name)?;
            let mut shown: Map<String, Value> = snapshot.config.0.clone().into_iter().collect();
            shown.insert("snaptime".to_owned(), snapshot.created.into());
            shown
        }
        None => guest.config.0.clone().into_iter().collect(),
    };
    if current != Some(true) {
        for (name, change) in &guest.pending {
            match change {
                PendingChange::Set(value) => shown.insert(name.clone(), value.clone()),
                PendingChange::Delete { .. } => shown.remove(name),
            };
        }
    }
    if !sees_environment(&op, &guest)? {
        shown.remove("env");
    }
    shown.insert("digest".to_owned(), digest(&guest).into());
    Ok(Answer::new(shown))
}
