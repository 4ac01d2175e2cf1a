//! `GET /nodes/{node}/apt/versions`

use model::Error;
use node::host::packages;
use proto::wire::Answer;
use serde_json::Value;

use super::package::row;
use crate::ops::Op;

pub(super) async fn versions(op: Op) -> Result<Answer, Error> {
    let packages = packages::watched(&op.context.node.host).await?;
    let rows = packages.iter().map(|package| {
        let mut row = row(package);
        row["CurrentState"] = package.state.into();
        row
    });
    Ok(Answer::new(rows.collect::<Vec<Value>>()))
}
