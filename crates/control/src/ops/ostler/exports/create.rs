//! `POST /ostler/nodes/{node}/exports`: says what would be exported, unless `dry-run` is 0.

use ipnet::IpNet;
use model::schema::format::split_list;
use model::{Error, StorageId};
use node::tasks::ExportCreate;
use proto::wire::Answer;
use serde::Deserialize;
use serde_json::json;

use crate::ops::Op;

#[derive(Deserialize)]
struct Create {
    storage: StorageId,
    #[serde(rename = "as")]
    named: Option<StorageId>,
    #[serde(default)]
    network: String,
    #[serde(rename = "dry-run")]
    dry_run: Option<bool>,
}

pub(super) async fn create(op: Op) -> Result<Answer, Error> {
    let wanted: Create = op.params()?;
    let networks = networks(&wanted.network)?;
    let mut task = ExportCreate::new(wanted.storage.clone(), wanted.named, &networks)?;
    let plan = task.check(&op.context.node).await?;
    let mut shown = json!({
        "storage": plan.storage,
        "server": plan.server,
        "path": plan.path,
        "content": plan.content,
        "clients": plan.clients,
    });
    if let Some(dataset) = plan.dataset {
        shown["dataset"] = dataset.into();
    }
    if wanted.dry_run == Some(false) {
        shown["upid"] = op.context.submit(&op, wanted.storage, task).await?.data;
    }
    Ok(Answer::new(shown))
}

fn networks(list: &str) -> Result<Vec<IpNet>, Error> {
    let parse = |text: &str| {
        let bad = |_| Error::invalid("network", format!("'{text}' is no network as 10.0.0.0/24"));
        text.parse().map_err(bad)
    };
    split_list(list).map(parse).collect()
}
