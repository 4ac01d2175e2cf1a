//! `POST /ostler/cluster/witness`

use model::Error;
use node::membership::{WitnessApplication, admit_witness};
use proto::wire::Answer;
use serde::Deserialize;

use crate::ops::Op;

#[derive(Deserialize)]
struct Admit {
    application: String,
}

pub(super) async fn witness_admit(op: Op) -> Result<Answer, Error> {
    let wanted: Admit = op.params()?;
    let application: WitnessApplication = serde_json::from_str(&wanted.application)
        .map_err(|error| Error::invalid("application", error.to_string()))?;
    let admission = admit_witness(&op.context.node, &application).await?;
    let admission = serde_json::to_value(admission)
        .map_err(|error| Error::bug(format!("an admission: {error}")))?;
    Ok(Answer::new(admission))
}
