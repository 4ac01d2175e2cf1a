//! `/storage`

pub(in crate::ops) mod options;

use model::schema::format::split_list;
use model::{Error, ErrorKind, Privilege, Record, StorageId};
use node::storage_key;
use proto::wire::Answer;
use serde::Deserialize;
use serde_json::{Value, json};
use storage::StorageConfig;
use store::{Commit, Precondition, Read, Revision, StoreError};

use super::{Op, Pair, pair};
use crate::Context;
use options::{DEFAULT_CONTENT, Options, shown, unset};

pub(super) const PAIRS: &[Pair] = &[
    pair!("storage_list", list),
    pair!("storage_create", create),
    pair!("storage_get", get),
    pair!("storage_update", update),
    pair!("storage_delete", delete),
];

/// Whoever has one of these on a storage sees that it is there.
pub(super) const SEES: [Privilege; 2] =
    [Privilege::DatastoreAudit, Privilege::DatastoreAllocateSpace];

#[derive(Deserialize)]
struct List {
    #[serde(rename = "type")]
    kind: Option<String>,
}

async fn list(op: Op) -> Result<Answer, Error> {
    let List { kind } = op.params()?;
    let storages = op.context.node.records.storages().await?;
    let access = op.context.authority.access();
    let view = access.view(op.identity()?, op.context.authority.now());
    let rows: Vec<Value> = storages
        .iter()
        .filter(|storage| {
            kind.as_deref()
                .is_none_or(|kind| kind == storage.kind.as_str())
        })
        .filter(|storage| view.has_any(&format!("/storage/{}", storage.id), &SEES))
        .map(|storage| shown(storage).into())
        .collect();
    Ok(Answer::new(rows))
}

#[derive(Deserialize)]
struct Named {
    storage: StorageId,
}

async fn get(op: Op) -> Result<Answer, Error> {
    let Named { storage } = op.params()?;
    let config = op.context.node.records.storage(&storage).await?;
    Ok(Answer::new(shown(&config)))
}

#[derive(Deserialize)]
struct Create {
    storage: StorageId,
    path: Option<String>,
}

async fn create(op: Op) -> Result<Answer, Error> {
    let Create { storage, path } = op.params()?;
    let options: Options = op.params()?;
    let path = path.ok_or_else(|| Error::conflict("missing value for required option 'path'"))?;
    let mut config = StorageConfig::dir(storage, path);
    config.content = DEFAULT_CONTENT.to_vec();
    options.apply(&mut config)?;
    let revision = add(&op.context, &config).await.map_err(during("create"))?;
    Ok(changed(&config).at(revision.0))
}

async fn add(context: &Context, config: &StorageConfig) -> Result<Revision, Error> {
    let key = storage_key(&config.id);
    let defined = || Error::conflict(format!("storage ID '{}' already defined", config.id));
    if context.store.get(&key, Read::Linear).await?.0.is_some() {
        return Err(defined());
    }
    activate(context, config).await?;
    let record = Record::new(config.clone()).encode().map_err(unreadable)?;
    let commit = Commit::new()
        .when(Precondition::Absent(key.clone()))
        .put(key, record);
    match context.store.commit(commit).await {
        Err(StoreError::Conflict { .. }) => Err(defined()),
        result => Ok(result?),
    }
}

/// A storage that cannot be used here is noticed when it is configured, not by the first guest.
async fn activate(context: &Context, config: &StorageConfig) -> Result<(), Error> {
    if config.is_enabled_on(&context.node.name) {
        storage::open(config.clone(), context.node.host.clone())
            .activate()
            .await?;
    }
    Ok(())
}

#[derive(Deserialize)]
struct Update {
    storage: StorageId,
    delete: Option<String>,
    digest: Option<String>,
}

async fn update(op: Op) -> Result<Answer, Error> {
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
        let reason = format!("option '{both}' is set and deleted at the same time");
        return Err(Error::invalid("delete", reason));
    }
    let change = |config: &mut StorageConfig| -> Result<(), Error> {
        check_digest(config, digest.as_deref())?;
        delete.iter().try_for_each(|option| unset(config, option))?;
        op.params::<Options>()?.apply(config)
    };
    let changing = change_record(&op.context, &storage, change);
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

/// Changes a storage's record, if what it says can be used. `change` is asked again when
/// somebody else was faster.
async fn change_record(
    context: &Context,
    id: &StorageId,
    change: impl Fn(&mut StorageConfig) -> Result<(), Error>,
) -> Result<(StorageConfig, Revision), Error> {
    let key = storage_key(id);
    loop {
        let (entry, _) = context.store.get(&key, Read::Linear).await?;
        let entry = entry.ok_or_else(|| missing(id))?;
        let mut record = Record::<StorageConfig>::decode(&entry.value).map_err(unreadable)?;
        change(&mut record.data)?;
        activate(context, &record.data).await?;
        let commit = Commit::new()
            .when(Precondition::ModifiedAt(key.clone(), entry.modified))
            .put(key.clone(), record.encode().map_err(unreadable)?);
        match context.store.commit(commit).await {
            Err(StoreError::Conflict { .. }) => {}
            result => return Ok((record.data, result?)),
        }
    }
}

async fn delete(op: Op) -> Result<Answer, Error> {
    let Named { storage } = op.params()?;
    let revision = remove(&op.context, &storage)
        .await
        .map_err(during("delete"))?;
    Ok(Answer::null().at(revision.0))
}

/// Forgets a storage, also one that guests use, as Proxmox VE does: the volumes stay, and a
/// storage of the same name and path brings them back.
async fn remove(context: &Context, id: &StorageId) -> Result<Revision, Error> {
    let key = storage_key(id);
    loop {
        let (entry, _) = context.store.get(&key, Read::Linear).await?;
        let entry = entry.ok_or_else(|| missing(id))?;
        let commit = Commit::new()
            .when(Precondition::ModifiedAt(key.clone(), entry.modified))
            .delete(key.clone());
        match context.store.commit(commit).await {
            Err(StoreError::Conflict { .. }) => {}
            result => return Ok(result?),
        }
    }
}

fn changed(config: &StorageConfig) -> Answer {
    Answer::new(json!({"storage": config.id.as_str(), "type": config.kind.as_str()}))
}

fn missing(id: &StorageId) -> Error {
    Error::not_found(format!("storage '{id}' does not exist"))
}

fn unreadable(error: model::RecordError) -> Error {
    Error::bug(Error::chain(&error))
}

/// Failures of a change begin with what was attempted; wrong parameters do not.
fn during(attempt: &'static str) -> impl Fn(Error) -> Error {
    move |mut error| {
        if error.kind != ErrorKind::Invalid {
            error.message = format!("{attempt} storage failed: {}", error.message);
        }
        error
    }
}
