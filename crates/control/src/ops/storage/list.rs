//! `GET /storage`

use model::Error;
use proto::wire::Answer;
use serde::Deserialize;
use serde_json::Value;

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
