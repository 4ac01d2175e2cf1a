//! `GET /storage`

use model::Error;
use proto::wire::Answer;
use serde::Deserialize;
use serde_json::Value;
use storage::StorageConfig;

use super::SEES;
use super::options::shown;
use crate::ops::Op;

#[derive(Deserialize)]
struct List {
    #[serde(rename = "type")]
    kind: Option<String>,
}

pub(super) async fn list(op: Op) -> Result<Answer, Error> {
    let List { kind } = op.params()?;
    let storages = op.records.storages().await?;
    let access = op.context.authority.access();
    let view = access.view(op.identity()?, op.context.authority.now());
    let is_meant = |config: &StorageConfig| {
        let is_kind = |kind| kind == config.spec.kind().as_str();
        kind.as_deref().is_none_or(is_kind)
            && view.has_any(&format!("/storage/{}", config.id()), &SEES)
    };
    let rows: Vec<Value> = storages
        .iter()
        .filter(|entry| is_meant(&entry.config))
        .map(|entry| shown(&entry.config).into())
        .collect();
    Ok(Answer::new(rows))
}
