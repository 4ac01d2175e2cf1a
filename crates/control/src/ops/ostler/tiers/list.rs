//! `GET /ostler/cluster/tiers`

use model::Error;
use proto::wire::Answer;
use serde_json::Value;

use super::shown;
use crate::ops::Op;

pub(super) async fn list(op: Op) -> Result<Answer, Error> {
    let tiers = op.records.tiers().await?;
    let rows: Vec<Value> = tiers.iter().map(shown).collect();
    Ok(Answer::new(rows))
}
