//! `GET /nodes/{node}/storage/{storage}/content`

use std::collections::BTreeMap;

use model::{Error, StorageId, UnixTime, VmId};
use proto::wire::Answer;
use serde::Deserialize;
use serde_json::{Value, json};
use storage::{Backup, ContentType, Storage, VolumeInfo, backup_kind};

use crate::ops::Op;
use crate::ops::volume_access::check_access;

#[derive(Deserialize)]
struct List {
    storage: StorageId,
    content: Option<String>,
    vmid: Option<VmId>,
}

pub(super) async fn volume_list(op: Op) -> Result<Answer, Error> {
    let wanted: List = op.params()?;
    let storage = op.context.node.storage(&wanted.storage).await?;
    storage.activate().await?;
    let content = match wanted.content.as_deref() {
        None => None,
        Some(name) => match ContentType::from_name(name) {
            Some(content) => Some(content),
            None => return Ok(Answer::new(Vec::<Value>::new())),
        },
    };
    let volumes = storage.list(content).await?;
    let backups = backups(&op, &*storage, &volumes).await?;
    let access = op.context.authority.access();
    let view = access.view(op.identity()?, op.context.authority.now());
    let rows: Vec<Value> = volumes
        .iter()
        .filter(|volume| wanted.vmid.is_none_or(|vmid| volume.owner == Some(vmid)))
        .filter(|volume| check_access(&view, &wanted.storage, volume.content, volume.owner).is_ok())
        .map(|volume| {
            let mut row = row(&wanted.storage, volume);
            if let Some((backup, begun)) = backups.get(&volume.name) {
                describe(&mut row, backup, *begun);
            }
            row
        })
        .collect();
    Ok(Answer::new(rows))
}

/// The backups among these volumes, with the times at which they were begun.
async fn backups(
    op: &Op,
    storage: &dyn Storage,
    volumes: &[VolumeInfo],
) -> Result<BTreeMap<String, (Backup, UnixTime)>, Error> {
    let is_backup = |volume: &VolumeInfo| volume.content == ContentType::Backup;
    let Some(backups) = storage.backups().filter(|_| volumes.iter().any(is_backup)) else {
        return Ok(BTreeMap::new());
    };
    let backups = backups.list_backups().await?;
    let begun = op.context.node.begun(&backups).await?;
    let all = backups.into_iter().zip(begun);
    let named = all.map(|(backup, begun)| (backup.volume.name.clone(), (backup, begun)));
    Ok(named.collect())
}

/// What a row of a backup has besides.
fn describe(row: &mut Value, backup: &Backup, begun: UnixTime) {
    row["ctime"] = begun.into();
    if let Some(kind) = backup_kind(backup.file()) {
        row["subtype"] = kind.as_str().into();
    }
    if backup.is_protected {
        row["protected"] = 1.into();
    }
    let first = backup
        .notes
        .as_deref()
        .and_then(|notes| notes.lines().next());
    if let Some(first) = first {
        row["notes"] = first.into();
    }
}

fn row(storage: &StorageId, volume: &VolumeInfo) -> Value {
    let mut row = json!({
        "volid": format!("{storage}:{}", volume.name),
        "content": volume.content.as_str(),
        "format": volume.format,
        "size": volume.size,
        "ctime": volume.created,
    });
    if let Some(owner) = volume.owner {
        row["vmid"] = owner.get().into();
    }
    if volume.content == ContentType::Images {
        row["used"] = volume.used.into();
        row["parent"] = Value::Null;
    }
    row
}
