//! `GET /nodes/{node}/scan/nfs`

use model::Error;
use node::host::scan;
use proto::wire::Answer;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::ops::Op;

#[derive(Deserialize)]
struct Asked {
    server: String,
}

pub(super) async fn nfs(op: Op) -> Result<Answer, Error> {
    let Asked { server } = op.params()?;
    let exports = scan::exports(&op.context.node.host, &server).await?;
    let rows = exports.iter();
    let rows = rows.map(|export| json!({"path": export.path, "options": export.options}));
    Ok(Answer::new(rows.collect::<Vec<Value>>()))
}
