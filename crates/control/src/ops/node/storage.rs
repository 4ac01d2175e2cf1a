//! `/nodes/{node}/storage`, and how full each is.

use model::schema::format::split_list;
use model::{Error, NodeName, StorageId};
use proto::wire::Answer;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use storage::{ContentType, StorageConfig};
use sys::SpaceUsage;

use crate::Context;
use crate::ops::Op;
use crate::ops::storage::SEES;
use crate::ops::storage::options::content_text;

#[derive(Deserialize)]
struct List {
    node: NodeName,
    content: Option<String>,
    enabled: Option<bool>,
    format: Option<bool>,
    storage: Option<StorageId>,
    target: Option<NodeName>,
}

pub(super) async fn list(op: Op) -> Result<Answer, Error> {
    let wanted: List = op.params()?;
    if let Some(target) = &wanted.target {
        op.context.check_node(target)?;
    }
    let storages = op.context.node.records.storages().await?;
    let is_known = |id: &StorageId| storages.iter().any(|storage| storage.id == *id);
    if wanted.storage.as_ref().is_some_and(|id| !is_known(id)) {
        return Err(no_such_storage());
    }
    let access = op.context.authority.access();
    let view = access.view(op.identity()?, op.context.authority.now());
    let mut rows = Vec::new();
    for storage in storages {
        let is_seen = view.has_any(&format!("/storage/{}", storage.id), &SEES);
        if is_seen && is_wanted(&storage, &wanted) {
            rows.push(row(&op.context, storage, wanted.format == Some(true)).await);
        }
    }
    Ok(Answer::new(rows))
}

fn is_wanted(storage: &StorageConfig, wanted: &List) -> bool {
    let takes_one = wanted.content.as_deref().is_none_or(|list| {
        let contents = split_list(list).filter_map(ContentType::from_name);
        contents.into_iter().any(|content| storage.takes(content))
    });
    let is_named = wanted.storage.as_ref().is_none_or(|id| *id == storage.id);
    let is_enabled = wanted.enabled != Some(true) || storage.is_enabled_on(&wanted.node);
    takes_one && is_named && is_enabled
}

async fn row(context: &Context, storage: StorageConfig, with_formats: bool) -> Value {
    let id = storage.id.clone();
    let mut row = observed(context, storage, with_formats).await;
    row.insert("storage".to_owned(), id.as_str().into());
    let number = |name: &str| row.get(name).and_then(Value::as_f64).unwrap_or_default();
    let (used, total) = (number("used"), number("total"));
    if total > 0.0 {
        row.insert("used_fraction".to_owned(), (used / total).into());
    }
    row.into()
}

#[derive(Deserialize)]
struct Named {
    storage: StorageId,
}

pub(super) async fn status(op: Op) -> Result<Answer, Error> {
    let Named { storage } = op.params()?;
    let storages = op.context.node.records.storages().await?;
    let found = storages.into_iter().find(|config| config.id == storage);
    let config = found.ok_or_else(no_such_storage)?;
    Ok(Answer::new(observed(&op.context, config, false).await))
}

/// In the words of Proxmox VE, which here takes the name for a wrong parameter.
fn no_such_storage() -> Error {
    Error::invalid("storage", "No such storage.")
}

/// A storage as it is found. One that cannot be used is shown, as not active.
async fn observed(
    context: &Context,
    config: StorageConfig,
    with_formats: bool,
) -> Map<String, Value> {
    let is_enabled = config.is_enabled_on(&context.node.name);
    let mut fields = Map::new();
    let mut put = |name: &str, value: Value| fields.insert(name.to_owned(), value);
    put("type", config.kind.as_str().into());
    put("content", content_text(&config).into());
    put("shared", u8::from(config.shared == Some(true)).into());
    put("enabled", u8::from(is_enabled).into());
    let storage = storage::open(config, context.node.host.clone());
    if with_formats {
        let formats = json!({"default": storage.default_format().as_str(), "supported": SUPPORTED});
        put("formats", formats);
    }
    let space = if is_enabled {
        usage(&*storage).await
    } else {
        None
    };
    put("active", u8::from(space.is_some()).into());
    let space = space.unwrap_or_default();
    put("total", space.total.into());
    put("used", space.used.into());
    put("avail", space.available.into());
    fields
}

/// The formats of images that a folder can hold.
const SUPPORTED: [&str; 3] = ["raw", "qcow2", "vmdk"];

async fn usage(storage: &dyn storage::Storage) -> Option<SpaceUsage> {
    let measured = async {
        storage.activate().await?;
        storage.space().await
    };
    match measured.await {
        Ok(space) => Some(space),
        Err(error) => {
            let error = Error::chain(&error);
            tracing::warn!(storage = %storage.config().id, error, "a storage cannot be used");
            None
        }
    }
}
