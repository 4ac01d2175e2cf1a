//! `GET /cluster/ha/rules/{rule}`

use model::Error;
use proto::wire::Answer;
use serde::Deserialize;

use crate::ops::Op;

#[derive(Deserialize)]
struct Rule {
    rule: String,
}

pub(super) async fn rule_get(op: Op) -> Result<Answer, Error> {
    let Rule { rule } = op.params()?;
    Err(Error::not_found(format!("HA rule '{rule}' does not exist")))
}
