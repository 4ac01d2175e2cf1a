//! `GET /nodes/{node}/storage/{storage}/content`

use model::{Error, StorageId, VmId};
use proto::wire::Answer;
use serde::Deserialize;
use serde_json::{Value, json};
use storage::{ContentType, VolumeInfo};

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
    let access = op.context.authority.access();
    let view = access.view(op.identity()?, op.context.authority.now());
    let rows: Vec<Value> = volumes
        .iter()
        .filter(|volume| wanted.vmid.is_none_or(|vmid| volume.owner == Some(vmid)))
        .filter(|volume| check_access(&view, &wanted.storage, volume.content, volume.owner).is_ok())
        .map(|volume| row(&wanted.storage, volume))
        .collect();
    Ok(Answer::new(rows))
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
