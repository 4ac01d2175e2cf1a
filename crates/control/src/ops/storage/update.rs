//! `PUT /storage/{storage}`

use model::schema::format::split_list;
use model::{BlockFormat, Error, Record, StorageId};
use node::{storage_key, storage_secret};
use proto::wire::Answer;
use serde::Deserialize;
use storage::{ContentType, StorageConfig};
use store::{Commit, Precondition, Read, Revision, StoreError};

use super::options::{self, shown};
use super::secret::Secret;
use super::{activate, changed, during, missing, unreadable};
use crate::Context;
use crate::ops::Op;

#[derive(Deserialize)]
struct Update {
    storage: StorageId,
    delete: Option<String>,
    digest: Option<String>,
}

pub(super) async fn update(op: Op) -> Result<Answer, Error> {
    let Update {
        storage,
        delete,
        digest,
    } = op.params()?;
    let delete: Vec<&str> = delete
        .as_deref()
        .map(split_list)
        .into_iter()
        .flatten()
        .collect();
    if let Some(both) = delete
        .iter()
        .find(|option| op.params.contains_key(**option))
    {
        let text = format!("cannot set and delete property '{both}' at the same time!");
        return Err(during("update")(Error::conflict(text)));
    }
    let change = |config: &mut StorageConfig| -> Result<(), Error> {
        check_digest(config, digest.as_deref())?;
        options::change(config, &delete, &op.params)
    };
    let secret = |config: &StorageConfig| Secret::of(config.spec.kind(), &op.params, &delete);
    let changing = change_record(&op.context, &storage, change, secret);
    let (config, revision) = changing.await.map_err(during("update"))?;
    Ok(changed(&config).at(revision.0))
}

fn check_digest(config: &StorageConfig, known: Option<&str>) -> Result<(), Error> {
    let matches = known.is_none_or(|known| shown(config)["digest"] == known);
    if matches {
        return Ok(());
    }
    let text = "detected modified configuration - file changed by other user? Try again.";
    Err(Error::conflict(text))
}

/// Changes a storage's record, if the result is usable. `change` is called again after a conflict.
async fn change_record(
    context: &Context,
    id: &StorageId,
    change: impl Fn(&mut StorageConfig) -> Result<(), Error>,
    secret: impl Fn(&StorageConfig) -> Result<Secret, Error>,
) -> Result<(StorageConfig, Revision), Error> {
    let key = storage_key(id);
    loop {
        let (entry, _) = context.store.get(&key, Read::Linear).await?;
        let entry = entry.ok_or_else(|| missing(id))?;
        let mut record = Record::<StorageConfig>::decode(&entry.value).map_err(unreadable)?;
        let earlier = record.data.clone();
        change(&mut record.data)?;
        check_layers_stay(context, &earlier, &record.data).await?;
        let secret = secret(&record.data)?;
        let kept = storage_secret(&*context.store, Read::Linear, &record.data).await?;
        activate(context, &record.data, secret.over(kept)).await?;
        let commit = Commit::new()
            .when(Precondition::ModifiedAt(key.clone(), entry.modified))
            .put(key.clone(), record.encode().map_err(unreadable)?);
        match context.store.commit(secret.write(commit, id)).await {
            Err(StoreError::Conflict { .. }) => {}
            result => return Ok((record.data, result?)),
        }
    }
}

/// Refuses to take away the snapshots of images that are there.
async fn check_layers_stay(
    context: &Context,
    earlier: &StorageConfig,
    config: &StorageConfig,
) -> Result<(), Error> {
    let is_here = earlier.is_enabled_on(&context.node.name);
    if !earlier.spec.has_layers() || config.spec.has_layers() || !is_here {
        return Ok(());
    }
    let storage = context.node.storage(config.id()).await?;
    let images = storage.list(Some(ContentType::Images)).await?;
    let qcow2 = BlockFormat::Qcow2.as_str();
    match images.iter().find(|image| image.format == qcow2) {
        None => Ok(()),
        Some(image) => Err(Error::invalid(
            "snapshot-as-volume-chain",
            format!(
                "cannot be unset while there are images of qcow2: '{}'",
                image.name
            ),
        )),
    }
}
