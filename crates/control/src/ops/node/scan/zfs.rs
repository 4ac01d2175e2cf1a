//! `GET /nodes/{node}/scan/zfs`

use model::Error;
use node::host::pools::zfs as pools;
use proto::wire::Answer;
use serde_json::{Value, json};

use crate::ops::Op;

pub(super) async fn zfs(op: Op) -> Result<Answer, Error> {
    let datasets = pools::datasets(&op.context.node.host).await?;
    let rows = datasets.iter();
    let rows = rows.map(|(name, available, used)| {
        json!({"pool": name, "free": available, "size": available + used})
    });
    Ok(Answer::new(rows.collect::<Vec<Value>>()))
}
