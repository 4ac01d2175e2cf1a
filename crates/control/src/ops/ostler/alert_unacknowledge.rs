//! `DELETE /ostler/alerts/acknowledge`

use model::Error;
use node::Priority;
use proto::wire::Answer;
use serde::Deserialize;

use super::Op;
use super::alerts::changeable;

#[derive(Deserialize)]
struct Unacknowledge {
    id: String,
}

pub(super) async fn alert_unacknowledge(op: Op) -> Result<Answer, Error> {
    let Unacknowledge { id } = op.params()?;
    let alert = changeable(&op, &id).await?;
    if alert.acknowledged.is_none() {
        return Err(Error::not_found(format!(
            "alert '{id}' is not acknowledged"
        )));
    }
    let node = &op.context.node;
    let revision = node.unacknowledge(&alert).await?;
    let text = format!("alert '{id}' is not acknowledged any more");
    node.events
        .add(Priority::Info, &op.identity()?.label(), "alert", text);
    Ok(Answer::null().at(revision.0))
}
