//! `PUT /nodes/{node}/storage/{storage}/content/{volume}`

use model::Error;
use proto::wire::Answer;
use storage::ContentType;

use super::storage_volumes::{Named, check_delete, find, read_name};
use crate::ops::Op;

/// Only backups have notes and can be protected, and there are no backups yet.
pub(super) async fn volume_update(op: Op) -> Result<Answer, Error> {
    let volume = Named::of(&op)?;
    let named = read_name(&op, &volume).await?;
    check_delete(&op, &volume, &named)?;
    let found = find(&op, &volume).await?;
    for (attribute, text) in [
        ("notes", "only backups can have notes"),
        ("protected", "only backups can be protected"),
    ] {
        if op.params.contains_key(attribute) {
            let backup = "not supported by this version of Ostler";
            let is_backup = found.content == ContentType::Backup;
            return Err(if is_backup {
                Error::invalid(attribute, backup)
            } else {
                Error::conflict(text)
            });
        }
    }
    Ok(Answer::null())
}
