//! The members of pools.

use std::collections::BTreeSet;

use auth::Pool;
use auth::edit::pools::Gone;
use model::{Error, GuestRecord, Record, VmId};
use serde_json::{Value, json};
use store::Read;

use crate::Context;

/// The members of a pool, of one kind (`qemu`, `lxc`, `storage`) or of all, without removed ones.
///
/// Status is observed and not stored, so `status` has a placeholder here. The api fills in what it
/// has observed.
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
        let known = storages(context).await?;
        members.extend(pool.storages.intersection(&known).map(|storage| {
            json!({
                "id": format!("storage/{}/{storage}", context.node.name),
                "node": context.node.name.as_str(),
                "type": "storage",
                "storage": storage,
                "status": "unknown",
            })
        }));
    }
    Ok(members)
}

/// The members that no longer exist.
pub(super) async fn gone(context: &Context, pool: &Pool) -> Result<Gone, Error> {
    let known = storages(context).await?;
    let mut gone = Gone {
        storages: pool.storages.difference(&known).cloned().collect(),
        ..Gone::default()
    };
    for vmid in &pool.guests {
        if !has_guest(context, *vmid).await? {
            gone.guests.insert(*vmid);
        }
    }
    Ok(gone)
}

async fn storages(context: &Context) -> Result<BTreeSet<String>, Error> {
    let storages = context.node.records.storages().await?;
    let names = storages.iter().map(|entry| entry.config.id().to_string());
    Ok(names.collect())
}

async fn has_guest(context: &Context, vmid: u32) -> Result<bool, Error> {
    let Ok(vmid) = VmId::new(vmid) else {
        return Ok(false);
    };
    let key = ::node::guest_key(vmid);
    let (entry, _) = context.store.get(&key, Read::Linear).await?;
    Ok(entry.is_some())
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
