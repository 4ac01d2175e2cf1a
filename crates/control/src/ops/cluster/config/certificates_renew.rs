//! `POST /ostler/cluster/certificates`

use model::Error;
use node::membership::renew_certificates;
use proto::wire::Answer;
use serde::Deserialize;
use serde_json::json;

use crate::ops::Op;

#[derive(Deserialize)]
struct Renew {
    #[serde(default)]
    force: bool,
}

/// With `force` also those that do not end soon. Answers what was renewed.
pub(super) async fn certificates_renew(op: Op) -> Result<Answer, Error> {
    let Renew { force } = op.params()?;
    let renewed = renew_certificates(&op.context.node, force).await?;
    Ok(Answer::new(json!(renewed)))
}
