//! `PUT /nodes/{node}/storage/{storage}/content/{volume}`

use model::{Error, Privilege, VolumeId};
use proto::wire::Answer;
use serde::Deserialize;
use storage::{Backups, ContentType, Storage};

use super::storage_volumes::{Named, check_delete, find, read_name};
use crate::ops::Op;

/// How many backups of a guest may be protected where nothing else is configured. Source: Proxmox VE.
const PROTECTED_MAX: i64 = 5;

#[derive(Deserialize)]
struct Update {
    notes: Option<String>,
    protected: Option<bool>,
}

/// Only backups have notes and can be protected.
pub(super) async fn volume_update(op: Op) -> Result<Answer, Error> {
    let volume = Named::of(&op)?;
    let update: Update = op.params()?;
    let named = read_name(&op, &volume).await?;
    check_delete(&op, &volume, &named)?;
    let found = find(&op, &volume).await?;
    let storage = op.context.node.storage(volume.storage()).await?;
    let backups = storage.backups();
    let Some(backups) = backups.filter(|_| found.content == ContentType::Backup) else {
        return match (update.notes, update.protected) {
            (None, None) => Ok(Answer::null()),
            (Some(_), _) => Err(Error::conflict("only backups can have notes")),
            (None, Some(_)) => Err(Error::conflict(
                "only backups support attribute 'protected'",
            )),
        };
    };
    if update.protected == Some(true) {
        check_limit(&op, &*storage, backups, &volume).await?;
    }
    if let Some(notes) = update.notes {
        backups.annotate(volume.name(), &notes).await?;
    }
    if let Some(is_protected) = update.protected {
        backups.protect(volume.name(), is_protected).await?;
    }
    Ok(Answer::null())
}

/// Refuses to protect more backups of a guest than the storage's owner allows.
async fn check_limit(
    op: &Op,
    storage: &dyn Storage,
    backups: &dyn Backups,
    volume: &VolumeId,
) -> Result<(), Error> {
    let access = op.context.authority.access();
    let view = access.view(op.identity()?, op.context.authority.now());
    let id = volume.storage();
    let folder = storage.config().spec.folder();
    let configured = folder.and_then(|folder| folder.max_protected_backups);
    let is_owner = view.has(&format!("/storage/{id}"), Privilege::DatastoreAllocate);
    let limit = configured.unwrap_or(if is_owner { -1 } else { PROTECTED_MAX });
    let all = backups.list_backups().await?;
    let Some(this) = all.iter().find(|one| one.volume.name == volume.name()) else {
        return Ok(());
    };
    let others = all
        .iter()
        .filter(|other| other.is_protected && other.volume.owner == this.volume.owner);
    match usize::try_from(limit) {
        Ok(limit) if !this.is_protected && others.count() >= limit => {
            Err(Error::conflict(format!(
                "The number of protected backups per guest is limited to {limit} on storage '{id}'"
            )))
        }
        _ => Ok(()),
    }
}
