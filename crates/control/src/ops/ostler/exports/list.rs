//! `GET /ostler/nodes/{node}/exports`

use model::Error;
use proto::wire::Answer;
use serde_json::json;

use crate::ops::Op;

pub(super) async fn list(op: Op) -> Result<Answer, Error> {
    let node = &op.context.node;
    let mut rows = Vec::new();
    for export in node.exports().await? {
        let exporter = &export.exporter;
        let mut row = json!({
            "storage": export.config.id(),
            "origin": exporter.origin,
            "server": export.spec.server,
            "path": export.spec.export,
            "clients": node.clients(&exporter.networks).await?,
        });
        if let Some(dataset) = &exporter.dataset {
            row["dataset"] = dataset.as_str().into();
        }
        rows.push(row);
    }
    Ok(Answer::new(rows))
}
