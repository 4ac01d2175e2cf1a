//! `POST /ostler/cluster/members/{member}`

use model::{Error, NodeName};
use node::membership::{Application, admit};
use proto::wire::Answer;
use serde::Deserialize;

use crate::ops::Op;

#[derive(Deserialize)]
struct Admit {
    member: NodeName,
    application: String,
}

pub(super) async fn member_admit(op: Op) -> Result<Answer, Error> {
    let wanted: Admit = op.params()?;
    let application: Application = serde_json::from_str(&wanted.application)
        .map_err(|error| Error::invalid("application", error.to_string()))?;
    let admission = admit(&op.context.node, &wanted.member, &application).await?;
    let admission = serde_json::to_value(admission)
        .map_err(|error| Error::bug(format!("an admission: {error}")))?;
    Ok(Answer::new(admission))
}
