//! `GET /nodes/{node}/storage/{storage}/content/{volume}`

use model::Error;
use proto::wire::Answer;
use serde_json::json;
use storage::ContentType;

use super::storage_volumes::{Named, find, read_name};
use crate::ops::Op;
use crate::ops::volume_access::check_access;

pub(super) async fn volume_get(op: Op) -> Result<Answer, Error> {
    let volume = Named::of(&op)?;
    let named = read_name(&op, &volume).await?;
    let access = op.context.authority.access();
    let view = access.view(op.identity()?, op.context.authority.now());
    check_access(&view, volume.storage(), named.content, named.owner)?;
    let found = find(&op, &volume).await?;
    let storage = op.context.node.storage(volume.storage()).await?;
    let mut answer = json!({
        "format": found.format,
        "path": storage.path(volume.name())?.display().to_string(),
        "size": found.size,
        "used": found.used.unwrap_or(found.size),
    });
    let backups = storage.backups();
    if let Some(backups) = backups.filter(|_| named.content == ContentType::Backup)
        && let Some(backup) = backups.backup(volume.name()).await?
    {
        answer["protected"] = u8::from(backup.is_protected).into();
        if let Some(notes) = backup.notes {
            answer["notes"] = notes.into();
        }
    }
    Ok(Answer::new(answer))
}
