//! `GET /nodes/{node}/apt/versions`

use model::Error;
use node::packages;
use proto::wire::Answer;
use serde_json::Value;

use super::package::row;
use crate::ops::Op;
use crate::ops::node::status::Node;

pub(super) async fn versions(op: Op) -> Result<Answer, Error> {
    let Node { node } = op.params()?;
    op.context.check_node(&node)?;
    let packages = packages::watched(&op.context.world.host).await?;
    let rows = packages.iter().map(|package| {
        let mut row = row(package);
        row["CurrentState"] = package.state.into();
        row
    });
    Ok(Answer::new(rows.collect::<Vec<Value>>()))
}
