//! `GET /ostler/cluster/profiles`

use model::Error;
use proto::wire::Answer;
use serde_json::Value;

use super::shown;
use crate::ops::Op;

pub(super) async fn list(op: Op) -> Result<Answer, Error> {
    let profiles = op.records.profiles().await?;
    let rows: Vec<Value> = profiles.iter().map(shown).collect();
    Ok(Answer::new(rows))
}
