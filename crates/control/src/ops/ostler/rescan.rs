//! `POST /ostler/nodes/{node}/rescan`: volumes that no option names become unused ones of their guests, and the
//! sizes of disks are noted as they are.

use std::collections::BTreeMap;

use model::{Error, GuestKind, GuestRecord, VmId, VolumeId};
use node::{OwnVolume, Rescanned, rescan as bring_in_line};
use proto::wire::Answer;
use serde::Deserialize;
use serde_json::{Value, json};
use storage::{ContentType, VolumeNames};

use crate::ops::Op;

#[derive(Deserialize)]
struct Rescan {
    vmid: Option<VmId>,
    #[serde(rename = "type")]
    kind: Option<GuestKind>,
    dryrun: Option<bool>,
}

pub(super) async fn rescan(op: Op) -> Result<Answer, Error> {
    let wanted: Rescan = op.params()?;
    let node = &op.context.node;
    let is_meant = |guest: &GuestRecord| {
        guest.node == node.name
            && wanted.vmid.is_none_or(|vmid| guest.vmid == vmid)
            && wanted.kind.is_none_or(|kind| guest.kind == kind)
    };
    let mut guests = Vec::new();
    for guest in op.records.guests().await? {
        let guest = guest?;
        if is_meant(&guest) {
            guests.push(guest);
        }
    }
    if let (Some(vmid), true) = (wanted.vmid, guests.is_empty()) {
        let text = format!("node '{}' has no such guest {vmid}", node.name);
        return Err(Error::invalid("vmid", text));
    }
    let (volumes, names, mut rows) = volumes(&op).await?;
    for mut guest in guests {
        let own = volumes.get(&guest.vmid).map_or(&[][..], Vec::as_slice);
        let (own, unreadable) = measured(&op, own).await;
        rows.extend(unreadable);
        let found = match wanted.dryrun == Some(true) {
            true => bring_in_line(&mut guest, &own, &names),
            false => change(&op, &guest, &own, &names).await,
        };
        match found {
            Ok(found) => rows.extend(found.iter().map(|found| row(&guest, found))),
            // One that is being changed for long does not hold up the others.
            Err(error) => rows.push(json!({"vmid": guest.vmid, "error": error.to_string()})),
        }
    }
    Ok(Answer::new(rows))
}

type Volumes = BTreeMap<VmId, Vec<OwnVolume>>;

/// The volumes of all guests, and a row for each storage that does not answer: what is there is not known.
async fn volumes(op: &Op) -> Result<(Volumes, VolumeNames, Vec<Value>), Error> {
    let storages = op.context.node.storages().await?;
    let names = VolumeNames::of(storages.iter().map(|storage| storage.config()));
    let (mut volumes, mut rows) = (Volumes::new(), Vec::new());
    for storage in storages {
        let id = storage.config().id();
        let listed = match storage.list(None).await {
            Ok(listed) => listed,
            Err(error) => {
                rows.push(json!({"storage": id.as_str(), "error": error.to_string()}));
                continue;
            }
        };
        let is_disk = |content| matches!(content, ContentType::Images | ContentType::Rootdir);
        for found in listed.into_iter().filter(|found| is_disk(found.content)) {
            let Some(owner) = found.owner else { continue };
            let volume = VolumeId::new(id.clone(), found.name.as_str())
                .map_err(|error| Error::bug(error.to_string()))?;
            let size = found.size;
            volumes
                .entry(owner)
                .or_default()
                .push(OwnVolume { volume, size });
        }
    }
    Ok((volumes, names, rows))
}

/// The same with what the guest sees, where the list did not say it, and a row for each that cannot be
/// read.
async fn measured(op: &Op, own: &[OwnVolume]) -> (Vec<OwnVolume>, Vec<Value>) {
    let (mut measured, mut unreadable) = (Vec::new(), Vec::new());
    for found in own {
        match size_of(op, found).await {
            Ok(size) => measured.extend(size.map(|size| OwnVolume {
                size,
                ..found.clone()
            })),
            Err(error) => unreadable.push(json!({
                "volume": found.volume.to_string(), "error": error.to_string(),
            })),
        }
    }
    (measured, unreadable)
}

async fn size_of(op: &Op, found: &OwnVolume) -> Result<Option<u64>, Error> {
    let storage = op.context.node.storage(found.volume.storage()).await?;
    if storage.lists_size_of(found.volume.name()) {
        return Ok(Some(found.size));
    }
    let info = storage.stat(found.volume.name()).await?;
    Ok(info.map(|info| info.size))
}

/// One commit for each guest; a task of it is waited for. Nothing is written where nothing is to be changed.
async fn change(
    op: &Op,
    guest: &GuestRecord,
    own: &[OwnVolume],
    names: &VolumeNames,
) -> Result<Vec<Rescanned>, Error> {
    if bring_in_line(&mut guest.clone(), own, names)?.is_empty() {
        return Ok(Vec::new());
    }
    let _hold = op.context.hold_guest(guest.vmid, "rescan").await?;
    // A task that was waited for may have removed what was listed before.
    let mut there = Vec::new();
    for found in own {
        let storage = op.context.node.storage(found.volume.storage()).await?;
        if storage.stat(found.volume.name()).await?.is_some() {
            there.push(found.clone());
        }
    }
    let mut found = Vec::new();
    op.context
        .node
        .records
        .change_guest(guest.vmid, |guest| {
            found = bring_in_line(guest, &there, names)?;
            Ok(())
        })
        .await?;
    Ok(found)
}

fn row(guest: &GuestRecord, found: &Rescanned) -> Value {
    let mut row = json!({
        "vmid": guest.vmid,
        "type": guest.kind.as_str(),
        "option": found.option,
        "volume": found.volume.to_string(),
    });
    if let Some((noted, size)) = found.size {
        row["size"] = size.into();
        if let Some(noted) = noted {
            row["noted"] = noted.into();
        }
    }
    row
}
