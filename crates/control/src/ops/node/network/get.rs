//! `GET /nodes/{node}/network/{iface}`

use model::Error;
use node::host::interfaces::interfaces;
use proto::wire::Answer;
use serde::Deserialize;

use crate::ops::Op;

#[derive(Deserialize)]
struct Get {
    iface: String,
}

pub(super) async fn get(op: Op) -> Result<Answer, Error> {
    let Get { iface } = op.params()?;
    let interfaces = interfaces(&op.context.node).await?;
    let found = interfaces.into_iter().find(|known| known.name == iface);
    let found = found.ok_or_else(|| Error::invalid("iface", "interface does not exist"))?;
    Ok(Answer::new(found.fields))
}
