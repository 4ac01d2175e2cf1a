//! `POST /ostler/alerts/acknowledge`

use model::Error;
use node::Priority;
use node::alerts::Acknowledgement;
use proto::wire::Answer;
use serde::Deserialize;

use super::Op;
use super::alerts::changeable;

#[derive(Deserialize)]
struct Acknowledge {
    id: String,
    #[serde(default)]
    comment: String,
}

pub(super) async fn alert_acknowledge(op: Op) -> Result<Answer, Error> {
    let Acknowledge { id, comment } = op.params()?;
    let alert = changeable(&op, &id).await?;
    let by = op.identity()?.label();
    let node = &op.context.node;
    let acknowledgement = Acknowledgement {
        by: by.clone(),
        at: node.clock.wall(),
        comment: comment.trim().to_owned(),
    };
    let text = match acknowledgement.comment.as_str() {
        "" => format!("alert '{id}' is acknowledged"),
        comment => format!("alert '{id}' is acknowledged: {comment}"),
    };
    let revision = node.acknowledge(&alert, acknowledgement).await?;
    node.events.add(Priority::Info, &by, "alert", text);
    Ok(Answer::null().at(revision.0))
}
