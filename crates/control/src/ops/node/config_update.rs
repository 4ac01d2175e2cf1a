//! `PUT /nodes/{node}/config`

use model::Error;
use node::{Settings, node_config_key};
use proto::wire::Answer;
use serde_json::Value;

use super::OnNode;
use crate::ops::{Op, change_options};

/// Parameters that are not settings.
const OTHERS: [&str; 3] = ["node", "delete", "digest"];

pub(super) async fn config_update(op: Op) -> Result<Answer, Error> {
    let OnNode { node } = op.params()?;
    let digest = op.params.get("digest").and_then(Value::as_str);
    let change = |settings: &mut Settings| {
        if digest.is_some_and(|digest| digest != settings.digest()) {
            let text = "detected modified configuration - file changed by other user? Try again.";
            return Err(Error::conflict(text));
        }
        change_options(&op.params, &OTHERS, settings);
        Ok(())
    };
    let revision = op
        .records
        .change_settings(&node_config_key(&node), change)
        .await?;
    Ok(Answer::null().at(revision.0))
}
