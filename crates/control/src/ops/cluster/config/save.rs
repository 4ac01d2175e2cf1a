//! `POST /ostler/cluster/saved`

use model::Error;
use proto::wire::Answer;
use serde::Deserialize;
use serde_json::json;

use crate::ops::Op;

#[derive(Deserialize)]
struct Save {
    name: Option<String>,
}

pub(super) async fn save(op: Op) -> Result<Answer, Error> {
    let Save { name } = op.params()?;
    let node = &op.context.node;
    let name = name.unwrap_or_else(|| format!("{}-{}", node.name, op.context.clock.wall()));
    let records = node.state()?.save(&name).await?;
    let path = node.paths.saved().join(format!("{name}.db"));
    Ok(Answer::new(json!({
        "name": name, "path": path.display().to_string(), "records": records,
    })))
}
