//! `GET /ostler/cluster/saved`

use model::Error;
use node::state::SavedState;
use proto::wire::Answer;
use serde_json::{Value, json};

use crate::ops::Op;

pub(super) async fn saved(op: Op) -> Result<Answer, Error> {
    let files = op.context.node.state()?.saved().await?;
    let rows: Vec<Value> = files
        .into_iter()
        .map(|file| {
            json!({
                "name": file.name, "path": file.path.display().to_string(),
                "size": file.bytes, "ctime": file.written,
            })
        })
        .collect();
    Ok(Answer::new(rows))
}

/// What is in a saved state.
pub(super) async fn examine(op: &Op, name: &str) -> Result<SavedState, Error> {
    op.context.node.state()?.examine_saved(name).await
}
