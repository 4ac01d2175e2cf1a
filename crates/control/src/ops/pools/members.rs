//! What is in a pool.

use auth::Pool;
use model::{Error, GuestRecord, Record, VmId};
use serde_json::{Value, json};
use store::Read;

use crate::Context;

/// The members of a pool, of one kind (`qemu`, `lxc`, `storage`) or of all. Guests that are
/// gone are left out.
///
/// How a member fares is observed, not stored: `status` is what a member has before anybody
/// looked at it. The api adds what it knows.
pub(super) async fn of(
    context: &Context,
    pool: &Pool,
    kind: Option<&str>,
) -> Result<Vec<Value>, Error> {
    let mut members = Vec::new();
    if kind != Some("storage") {
        for vmid in &pool.guests {
            if let Some(guest) = guest(context, *vmid).await?
                && kind.is_none_or(|kind| kind == guest.kind.as_str())
            {
                members.push(guest_member(&guest));
            }
        }
    }
    if kind.is_none_or(|kind| kind == "storage") {
        members.extend(pool.storages.iter().map(|storage| {
            json!({
                "id": format!("storage/{}/{storage}", context.node),
                "node": context.node.as_str(),
                "type": "storage",
                "storage": storage,
                "status": "unknown",
            })
        }));
    }
    Ok(members)
}

async fn guest(context: &Context, vmid: u32) -> Result<Option<GuestRecord>, Error> {
    let Ok(vmid) = VmId::new(vmid) else {
        return Ok(None);
    };
    let (entry, _) = context
        .store
        .get(&::node::guest_key(vmid), Read::Local)
        .await?;
    let Some(entry) = entry else { return Ok(None) };
    match Record::<GuestRecord>::decode(&entry.value) {
        Ok(record) => Ok(Some(record.data)),
        Err(error) => {
            tracing::warn!(%vmid, %error, "a guest of a pool cannot be read");
            Ok(None)
        }
    }
}

fn guest_member(guest: &GuestRecord) -> Value {
    let kind = guest.kind.as_str();
    let mut member = json!({
        "id": format!("{kind}/{}", guest.vmid),
        "node": guest.node.as_str(),
        "type": kind,
        "vmid": guest.vmid.get(),
        "status": "unknown",
    });
    if let Some(name) = guest
        .config
        .text("name")
        .or_else(|| guest.config.text("hostname"))
    {
        member["name"] = name.into();
    }
    member
}
