//! `GET /nodes/{node}/storage/{storage}/content/{volume}`

use model::Error;
use proto::wire::Answer;
use serde_json::json;

use super::storage_volumes::{Named, describe_name, find};
use crate::ops::Op;
use crate::ops::volume_access::check_access;

pub(super) async fn volume_get(op: Op) -> Result<Answer, Error> {
    let volume = Named::of(&op)?;
    let named = describe_name(&op, &volume).await?;
    let access = op.context.authority.access();
    let view = access.view(op.identity()?, op.context.authority.now());
    check_access(&view, volume.storage(), &named)?;
    let found = find(&op, &volume).await?;
    let storage = op.context.node.storage(volume.storage()).await?;
    let mut answer = json!({
        "format": found.format,
        "size": found.size,
        "used": found.used.unwrap_or(found.size),
    });
    if let Some(files) = storage.files() {
        answer["path"] = files.path(volume.name())?.display().to_string().into();
    }
    Ok(Answer::new(answer))
}
