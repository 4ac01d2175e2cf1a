//! `GET /nodes/{node}/network/{iface}`

use model::{Error, NodeName};
use node::interfaces::interfaces;
use proto::wire::Answer;
use serde::Deserialize;

use crate::ops::Op;

#[derive(Deserialize)]
struct Get {
    node: NodeName,
    iface: String,
}

pub(super) async fn get(op: Op) -> Result<Answer, Error> {
    let Get { node, iface } = op.params()?;
    op.context.check_node(&node)?;
    let interfaces = interfaces(&op.context.world).await?;
    let found = interfaces.into_iter().find(|known| known.name == iface);
    let found = found.ok_or_else(|| Error::invalid("iface", "interface does not exist"))?;
    Ok(Answer::new(found.fields))
}
