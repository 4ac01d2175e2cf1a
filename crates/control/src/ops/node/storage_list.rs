//! `GET /nodes/{node}/storage`

use futures_util::future::join_all;
use model::schema::format::split_list;
use model::{Error, NodeName, StorageId};
use node::StorageEntry;
use proto::wire::Answer;
use serde::Deserialize;
use serde_json::Value;
use storage::{ContentType, StorageConfig};

use super::storage::{no_such_storage, observed};
use crate::Context;
use crate::ops::Op;
use crate::ops::storage::SEES;

#[derive(Deserialize)]
struct List {
    node: NodeName,
    content: Option<String>,
    enabled: Option<bool>,
    format: Option<bool>,
    storage: Option<StorageId>,
    target: Option<NodeName>,
}

pub(super) async fn storage_list(op: Op) -> Result<Answer, Error> {
    let wanted: List = op.params()?;
    if let Some(target) = &wanted.target {
        let is_other = op.context.node.cluster.members.get(target).is_some();
        if !is_other {
            op.context.check_node(target)?;
        }
    }
    let storages = op.records.storages().await?;
    let is_known = |id: &StorageId| storages.iter().any(|entry| entry.config.id() == id);
    if wanted.storage.as_ref().is_some_and(|id| !is_known(id)) {
        return Err(no_such_storage());
    }
    let access = op.context.authority.access();
    let view = access.view(op.identity()?, op.context.authority.now());
    let shown = storages.iter().filter(|entry| {
        let is_seen = view.has_any(&format!("/storage/{}", entry.config.id()), &SEES);
        is_seen && is_wanted(&entry.config, &wanted)
    });
    // All at the same time: one that does not answer delays the list once.
    let rows = shown.map(|entry| row(&op.context, entry, wanted.format == Some(true)));
    Ok(Answer::new(join_all(rows).await))
}

fn is_wanted(storage: &StorageConfig, wanted: &List) -> bool {
    let takes_one = wanted.content.as_deref().is_none_or(|list| {
        let contents = split_list(list).filter_map(ContentType::from_name);
        contents.into_iter().any(|content| storage.takes(content))
    });
    let is_named = wanted.storage.as_ref().is_none_or(|id| id == storage.id());
    let is_enabled = wanted.enabled != Some(true) || storage.is_enabled_on(&wanted.node);
    let target = wanted.target.as_ref();
    let is_at_target = target.is_none_or(|target| storage.is_enabled_on(target));
    takes_one && is_named && is_enabled && is_at_target
}

async fn row(context: &Context, entry: &StorageEntry, with_formats: bool) -> Value {
    let mut row = observed(context, entry, with_formats).await;
    let id = entry.config.id().as_str();
    row.insert("storage".to_owned(), id.into());
    let number = |name: &str| row.get(name).and_then(Value::as_f64).unwrap_or_default();
    let (used, total) = (number("used"), number("total"));
    if total > 0.0 {
        row.insert("used_fraction".to_owned(), (used / total).into());
    }
    row.into()
}
