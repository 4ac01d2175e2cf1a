//! `GET /ostler/hardware`

use model::Error;
use node::host::inventory;
use proto::wire::Answer;

use super::Op;

pub(super) async fn hardware(op: Op) -> Result<Answer, Error> {
    let found = inventory::inventory(&op.context.node.host).await;
    let answer = serde_json::to_value(found)
        .map_err(|error| Error::bug(format!("an inventory cannot be written: {error}")))?;
    Ok(Answer::new(answer))
}
