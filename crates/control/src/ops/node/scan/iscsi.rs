//! `GET /nodes/{node}/scan/iscsi`

use model::Error;
use node::host::scan;
use proto::wire::Answer;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::ops::Op;

#[derive(Deserialize)]
struct Asked {
    portal: String,
}

pub(super) async fn iscsi(op: Op) -> Result<Answer, Error> {
    let Asked { portal } = op.params()?;
    let targets = scan::targets(&op.context.node.host, &portal).await?;
    let rows = targets.iter();
    let rows =
        rows.map(|target| json!({"target": target.name, "portal": target.portals.join(",")}));
    Ok(Answer::new(rows.collect::<Vec<Value>>()))
}
