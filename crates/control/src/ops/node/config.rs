//! `/nodes/{node}/config`

use model::{Error, NodeName};
use node::{Settings, node_config_key};
use proto::wire::Answer;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::OnNode;
use crate::ops::{Op, change_options};

#[derive(Deserialize)]
struct Get {
    node: NodeName,
    property: Option<String>,
}

pub(super) async fn get(op: Op) -> Result<Answer, Error> {
    let Get { node, property } = op.params()?;
    let settings = op
        .context
        .node
        .records
        .settings(&node_config_key(&node))
        .await?;
    let is_wanted = |name: &String| property.as_ref().is_none_or(|p| p == "all" || p == name);
    let shown = settings.options.iter().filter(|(name, _)| is_wanted(name));
    let mut answer: Map<String, Value> = shown
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    // A node that nobody has configured shows nothing at all.
    if !answer.is_empty() {
        answer.insert("digest".into(), settings.digest().into());
    }
    Ok(Answer::new(answer))
}

/// Parameters that are no settings.
const OTHERS: [&str; 3] = ["node", "delete", "digest"];

pub(super) async fn update(op: Op) -> Result<Answer, Error> {
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
        .context
        .node
        .records
        .change_settings(&node_config_key(&node), change)
        .await?;
    Ok(Answer::null().at(revision.0))
}
